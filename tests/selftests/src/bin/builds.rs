// SPDX-License-Identifier: GPL-2.0

//! A module loads on the build of `rust_connector` that it was built against, and on no other.
//!
//! The harness builds `rust_connector` several times from copies of the sources, see
//! `scripts/lib/builds.sh`. The modules are the ordinary ones.

use std::process::ExitCode;

use anyhow::{Result, bail, ensure};
use nix::errno::Errno;
use selftests::{Client, ECHO, KernelLog, Module, Suite, connector_is_built_in, procfs};

/// Loads the build of that name, and on it `cn_echo`, which was built against the ordinary one.
fn is_refused_on(build: &'static str) -> Result<()> {
    let mut log = KernelLog::from_now()?;
    let _connector = Module::load(build, "")?;
    match Module::try_load("cn_echo", "")? {
        Ok(_echo) => bail!("cn_echo was loaded"),
        Err(errno) => ensure!(errno == Errno::ENOENT, "insmod cn_echo.ko: {errno}"),
    }
    // What the README says that one sees.
    let messages = log.messages()?;
    ensure!(
        messages.iter().any(|message| {
            message.starts_with("cn_echo: Unknown symbol _R")
                && message.contains("_9connector")
                && message.ends_with("(err -2)")
        }),
        "the kernel log should name an unknown symbol of the crate, and says {messages:#?}"
    );
    ensure!(!procfs::is_registered(ECHO)?, "{ECHO} is registered");
    Ok(())
}

fn same_sources_elsewhere() -> Result<()> {
    let _connector = Module::load("builds/folder/rust_connector", "")?;
    let _echo = Module::load("cn_echo", "")?;
    Client::open()?.expect_echo(&Client::header(ECHO, 1, 1), b"hello")
}

fn fields() -> Result<()> {
    is_refused_on("builds/fields/rust_connector")
}

fn signature() -> Result<()> {
    is_refused_on("builds/signature/rust_connector")
}

fn compiler() -> Result<()> {
    is_refused_on("builds/compiler/rust_connector")
}

fn flags() -> Result<()> {
    is_refused_on("builds/flags/rust_connector")
}

fn all_objects_are_compiled_again() -> Result<()> {
    let _connector = Module::load("rust_connector", "")?;
    Module::load("builds/ct_two", "")?.unload()
}

fn main() -> ExitCode {
    let lacking = connector_is_built_in()
        .then_some("the connector is a part of the kernel, of which there is one build");
    Suite::new()
        .skip_if(lacking)
        .test(
            "a module loads on a rust_connector of the same sources from another folder",
            same_sources_elsewhere,
        )
        .test(
            "a module is refused when two fields of a private struct changed places",
            fields,
        )
        .test(
            "a module is refused when a function takes other arguments",
            signature,
        )
        .test(
            "a module is refused when another build of rustc compiled rust_connector",
            compiler,
        )
        .test(
            "a module is refused when rust_connector was compiled with other flags",
            flags,
        )
        .test(
            "all objects of a module are compiled again for another rust_connector",
            all_objects_are_compiled_again,
        )
        .run()
}
