// SPDX-License-Identifier: GPL-2.0

//! The sample `cn_kv`, and its client `kv`.

use std::{
    collections::BTreeMap,
    process::{Command, ExitCode, Output},
};

use anyhow::{Context, Result, ensure};
use connector_wire::outcome;
use selftests::{
    CbId, Client, Module, Suite, debugfs, in_time, program, times, unload_in_background, wait_for,
};

const KV: CbId = CbId { idx: 20, val: 1 };

const SERVICES: &str = "/sys/kernel/debug/rust_connector/services";

const NOBODY: u32 = 65534;

const ENOENT: u32 = 2;
const EINVAL: u32 = 22;
const ENOSPC: u32 = 28;

/// What the service says.
fn ask(client: &Client, request: &[u8]) -> Result<Result<Vec<u8>, u32>> {
    let reply = client.ask(&Client::header(KV, 1, 0), request)?;
    let outcome = outcome(&reply.data).context("the reply does not say how the request ended")?;
    Ok(outcome.map(<[u8]>::to_vec))
}

fn expect(client: &Client, request: &str, expected: Result<&str, u32>) -> Result<()> {
    let said = ask(client, request.as_bytes())?;
    ensure!(
        said == expected.map(|value| value.as_bytes().to_vec()),
        "`{request}`: {said:?}, not {expected:?}"
    );
    Ok(())
}

fn values_are_kept() -> Result<()> {
    let (_connector, module) = Module::load_with_connector("cn_kv", "")?;
    let client = Client::open()?;
    for (request, expected) in [
        ("get a", Err(ENOENT)),
        ("set a 1", Ok("")),
        ("set b two words", Ok("")),
        ("get a", Ok("1")),
        ("get b", Ok("two words")),
        ("set a ", Ok("")),
        ("get a", Ok("")),
        ("del a", Ok("")),
        ("get a", Err(ENOENT)),
        ("del a", Err(ENOENT)),
        ("get b", Ok("two words")),
        ("", Err(EINVAL)),
        ("get", Err(EINVAL)),
        ("set a", Err(EINVAL)),
        ("get b c", Err(EINVAL)),
        ("del b c", Err(EINVAL)),
        ("put a b", Err(EINVAL)),
        ("getx b", Err(EINVAL)),
    ] {
        expect(&client, request, expected)?;
    }
    module.unload()
}

fn there_is_a_limit() -> Result<()> {
    let (_connector, module) = Module::load_with_connector("cn_kv", "")?;
    let client = Client::open()?;
    for at in 0..256 {
        expect(&client, &format!("set {at} {at}"), Ok(""))?;
    }
    expect(&client, "set more 1", Err(ENOSPC))?;
    expect(&client, "set 255 changed", Ok(""))?;
    module.unload()
}

fn it_says_how_many() -> Result<()> {
    debugfs::require()?;
    let (_connector, module) = Module::load_with_connector("cn_kv", "")?;
    let client = Client::open()?;
    for at in 0..3 {
        expect(&client, &format!("set {at} {at}"), Ok(""))?;
    }
    expect(&client, "del 1", Ok(""))?;
    let text = debugfs::read(SERVICES)?;
    ensure!(text.contains("20:1 cn_kv\nentries 2\n"), "{text}");
    module.unload()
}

fn changes_are_told() -> Result<()> {
    let (_connector, module) = Module::load_with_connector("cn_kv", "")?;
    let listener = Client::open_in(KV.idx)?;
    let client = Client::open()?;
    expect(&client, "set a 1", Ok(""))?;
    expect(&client, "get a", Ok("1"))?;
    expect(&client, "del b", Err(ENOENT))?;
    expect(&client, "del a", Ok(""))?;
    let mut next = None;
    let mut heard: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
    while heard.get(&b"alive"[..]).is_none_or(|count| *count < 2) {
        let message = listener.recv()?.single()?;
        let seq = message.header.seq;
        ensure!(next.is_none_or(|next| next == seq), "{seq}, not {next:?}");
        next = Some(seq + 1);
        *heard.entry(message.data).or_default() += 1;
    }
    heard.remove(&b"alive"[..]);
    let expected: BTreeMap<_, _> = [(b"set a".to_vec(), 1), (b"del a".to_vec(), 1)].into();
    ensure!(heard == expected, "{heard:?}");
    module.unload()
}

/// `kv`, as somebody else.
fn kv_as(user: u32, args: &[&str]) -> Result<Output> {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(program::beside("bin").join("kv"));
    command.args(args).uid(user).gid(user);
    command.output().context("kv")
}

fn the_client() -> Result<()> {
    let (_connector, module) = Module::load_with_connector("cn_kv", "")?;
    for (user, args, status, out, err) in [
        (0, &["set", "a", "1 2"][..], 0, "", ""),
        (0, &["get", "a"], 0, "1 2\n", ""),
        (NOBODY, &["get", "a"], 0, "1 2\n", ""),
        (NOBODY, &["set", "a", "3"], 1, "", "Operation not permitted"),
        (NOBODY, &["listen"], 1, "", "CAP_NET_ADMIN"),
        (0, &["get", "b"], 1, "", "No such file"),
        (0, &["get"], 2, "", "Usage"),
    ] {
        let output = kv_as(user, args)?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complained = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(
            output.status.code() == Some(status) && said == out && complained.contains(err),
            "{args:?} as {user}: {}, {said:?}, {complained:?}",
            output.status
        );
    }
    // The tool, which never heard of this service, knows the name of what is registered.
    let mut cnctl = program::tool("cnctl");
    let sent =
        program::run(cnctl.args(["send", "cn_kv", "get a", "--wait", "--json"]))?.expect(0)?;
    let reply = sent.json()?.pop().context("no reply")?;
    ensure!(
        reply["id"] == "20:1" && reply["data"] == "00000000312032",
        "{reply}"
    );
    module.unload()
}

fn reloaded_under_fire() -> Result<()> {
    let _connector = Module::load("rust_connector", "")?;
    for _ in 0..times(20) {
        let module = Module::load("cn_kv", "")?;
        let client = Client::open()?;
        let asking: Vec<_> = (0..2)
            .map(|who| {
                std::thread::spawn(move || -> Result<()> {
                    let client = Client::open()?;
                    for count in 0.. {
                        let request = format!("set {who} {count}");
                        client.send(&Client::header(KV, count, 0), request.as_bytes())?;
                        if client.try_recv()?.is_none() {
                            break;
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        wait_for("both ask", || {
            let asked = ask(&client, b"get 0")?.is_ok() && ask(&client, b"get 1")?.is_ok();
            Ok(asked.then_some(()))
        })?;
        unload_in_background(module)?.wait()?;
        in_time("who asks hangs", move || {
            for thread in asking {
                thread
                    .join()
                    .map_err(|_| anyhow::Error::msg("a thread panicked"))??;
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn main() -> ExitCode {
    Suite::new()
        .test(
            "what is set is what one gets, and all else is an error",
            values_are_kept,
        )
        .test(
            "there is room for so many keys and no more",
            there_is_a_limit,
        )
        .test("debugfs says how many there are", it_says_how_many)
        .test("changes are broadcast, and signs of life", changes_are_told)
        .test(
            "its client shows what comes of it, and only root can change something",
            the_client,
        )
        .test("it can be unloaded while clients ask", reloaded_under_fire)
        .run()
}
