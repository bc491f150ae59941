// SPDX-License-Identifier: GPL-2.0

//! Writes the man pages and the shell completions of `cnctl` to a directory: `man/` and
//! `completions/` in it. `make docs` and `make tools` run this.

#![forbid(unsafe_code)]

#[path = "../cli.rs"]
#[allow(
    dead_code,
    reason = "only the command line is of interest, not what is read from it"
)]
mod cli;
#[path = "../completions.rs"]
mod completions;
#[path = "../examples.rs"]
mod examples;

use std::{env, error::Error, fs, io, path::Path};

use clap::{Command, CommandFactory};
use clap_complete::{Generator, Shell};
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};

/// Manual pages by other people that are worth a look.
const ELSEWHERE: [(&str, &str); 6] = [
    ("forkstat", "8"),
    ("ip-monitor", "8"),
    ("netlink", "7"),
    ("ping", "8"),
    ("proc", "5"),
    ("ss", "8"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args_os().skip(1);
    let (Some(directory), None) = (args.next(), args.next()) else {
        return Err("usage: cnctl-docs DIRECTORY".into());
    };
    let mut command = cli::Cli::command().disable_help_subcommand(true);
    let folder = Path::new(&directory).join("completions");
    fs::create_dir_all(&folder)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let mut file = fs::File::create(folder.join(shell.file_name("cnctl")))?;
        completions::write(&command, shell, &mut file)?;
    }

    // Man pages of subcommands are named and titled `cnctl-ping`, and so on.
    command.build();

    let folder = Path::new(&directory).join("man");
    fs::create_dir_all(&folder)?;
    let pages: Vec<_> = command.get_subcommands().map(page_of).collect();
    for subcommand in command.get_subcommands() {
        let others = pages.iter().filter(|page| **page != page_of(subcommand));
        let others = others.map(String::as_str).chain(["cnctl"]).collect();
        write_page(&folder, subcommand, others)?;
    }
    let all = pages.iter().map(String::as_str).collect();
    write_page(&folder, &command, all)?;
    Ok(())
}

/// How a paragraph of what help ends with begins, and the section that it is the first of in a man page.
const SECTIONS: [(&str, &str); 3] = [
    ("Instead of forkstat:", "COMING FROM FORKSTAT"),
    ("JSON: ", "JSON"),
    ("Exit status: ", "EXIT STATUS"),
];

/// Writes what help ends with in sections that readers of man pages look for.
fn sections(roff: &mut Roff, text: &str) {
    for paragraph in text.split("\n\n") {
        let section = SECTIONS
            .iter()
            .find_map(|(begin, title)| Some((title, paragraph.strip_prefix(begin)?)));
        let paragraph = match section {
            Some((title, rest)) => {
                roff.control("SH", [*title]);
                rest
            }
            None => {
                roff.control("PP", []);
                paragraph
            }
        };
        // A table is as it is; and the long words of JSON are neither broken nor spread.
        let (on, off) = match paragraph.starts_with("  ") {
            true => (["nf", "nh"], ["fi", "hy"]),
            false => (["na", "nh"], ["ad", "hy"]),
        };
        for word in on {
            roff.control(word, []);
        }
        let mut chars = paragraph.chars();
        let first: String = chars
            .next()
            .into_iter()
            .flat_map(char::to_uppercase)
            .collect();
        roff.text([roman(first + chars.as_str())]);
        for word in off {
            roff.control(word, []);
        }
    }
}

/// The name of a subcommand's page.
fn page_of(command: &Command) -> String {
    command
        .get_display_name()
        .unwrap_or_else(|| command.get_name())
        .to_owned()
}

/// The usage, as help has it.
fn synopsis(command: &Command) -> Roff {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let (name, rest) = usage.split_at(usage.find(['[', '<']).unwrap_or(usage.len()));
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    roff.text([bold(name.trim_end()), roman(format!(" {rest}"))]);
    roff
}

/// Writes the page of a command, with examples and the names of other pages at its end.
fn write_page(folder: &Path, command: &Command, mut others: Vec<&str>) -> io::Result<()> {
    let version = command.get_version().unwrap_or_default();
    let page = Man::new(command.clone())
        .source(format!("cnctl {version}"))
        .manual("cnctl");
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    synopsis(command).to_writer(&mut text)?;
    page.render_description_section(&mut text)?;
    page.render_options_section(&mut text)?;
    if command.has_subcommands() {
        page.render_subcommands_section(&mut text)?;
    }

    let mut roff = Roff::new();
    let more = command.get_after_long_help().or(command.get_after_help());
    sections(
        &mut roff,
        &more.map(ToString::to_string).unwrap_or_default(),
    );
    let examples = examples::of(command.get_name());
    if !examples.is_empty() {
        roff.control("SH", ["EXAMPLES"]);
    }
    for (line, what) in examples {
        roff.control("TP", []);
        roff.text([bold(*line)]);
        roff.text([roman(*what)]);
    }
    roff.control("SH", ["SEE ALSO"]);
    others.sort_unstable();
    let own = others.iter().map(|name| (*name, "1"));
    let all: Vec<_> = own.chain(ELSEWHERE).collect();
    let last = all.len() - 1;
    let mut words = Vec::new();
    for (at, (name, section)) in all.into_iter().enumerate() {
        let end = if at == last { "" } else { ", " };
        words.push(bold(name));
        words.push(roman(format!("({section}){end}")));
    }
    roff.text(words);
    roff.to_writer(&mut text)?;
    fs::write(folder.join(format!("{}.1", page_of(command))), text)
}
