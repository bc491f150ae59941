// SPDX-License-Identifier: GPL-2.0

//! Writes the man pages and the shell completions of `cnctl` to a directory: `man/` and
//! `completions/` in it. `make docs` runs this.

#![forbid(unsafe_code)]

#[path = "../cli.rs"]
#[allow(
    dead_code,
    reason = "only the command line is of interest, not what is read from it"
)]
mod cli;

use std::{env, error::Error, fs, path::Path};

use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args_os().skip(1);
    let (Some(directory), None) = (args.next(), args.next()) else {
        return Err("usage: cnctl-docs DIRECTORY".into());
    };
    let mut command = cli::Cli::command().disable_help_subcommand(true);
    // Man pages of subcommands are named and titled `cnctl-ping`, and so on.
    command.build();

    let completions = Path::new(&directory).join("completions");
    fs::create_dir_all(&completions)?;
    for shell in Shell::value_variants() {
        if matches!(shell, Shell::Bash | Shell::Zsh | Shell::Fish) {
            clap_complete::generate_to(*shell, &mut command, "cnctl", &completions)?;
        }
    }

    let man = Path::new(&directory).join("man");
    fs::create_dir_all(&man)?;
    clap_mangen::generate_to(command, &man)?;
    Ok(())
}
