// SPDX-License-Identifier: GPL-2.0

//! Shell completions, made of the command line: options, names of ids and groups, events. What is
//! registered at the moment they do not know.

use std::io::{self, Write};

use clap::{Arg, Command, ValueHint};
use clap_complete::{Generator, Shell};

/// Writes the completions of a command for a shell, in the way that clap_complete does, but for what it
/// leaves out.
pub fn write(command: &Command, shell: Shell, to: &mut dyn Write) -> io::Result<()> {
    let mut command = hinted(command.clone());
    command.set_bin_name("cnctl");
    command.build();
    shell.try_generate(&command, to)?;
    match shell {
        Shell::Fish => ids_for_fish(&command, to),
        _ => Ok(()),
    }
}

/// A number or a text is no file: without a hint, shells would offer files.
fn hinted(command: Command) -> Command {
    command
        .mut_args(|arg| match arg.get_value_hint() {
            ValueHint::Unknown if arg.get_action().takes_values() => {
                arg.value_hint(ValueHint::Other)
            }
            _ => arg,
        })
        .mut_subcommands(hinted)
}

/// What may stand for an argument without an option, which clap_complete leaves out for fish.
fn ids_for_fish(command: &Command, to: &mut dyn Write) -> io::Result<()> {
    for subcommand in command.get_subcommands() {
        for value in subcommand
            .get_positionals()
            .flat_map(Arg::get_possible_values)
        {
            let help = value
                .get_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            writeln!(
                to,
                "complete -c cnctl -n \"__fish_cnctl_using_subcommand {}\" -f -a {} -d '{}'",
                subcommand.get_name(),
                value.get_name(),
                help.replace('\'', "\\'")
            )?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    fn completions(shell: Shell) -> String {
        let command = Cli::command().disable_help_subcommand(true);
        let mut text = Vec::new();
        write(&command, shell, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    /// What bash offers for the last of these words.
    fn offered(words: &str) -> Vec<String> {
        let script = format!(
            "{}\ncompopt() {{ :; }}\nCOMP_WORDS=({words}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n\
             _cnctl cnctl \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"\n\
             printf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
            completions(Shell::Bash)
        );
        let mut bash = Command::new("bash");
        let mut bash = bash
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        bash.stdin
            .take()
            .unwrap()
            .write_all(script.as_bytes())
            .unwrap();
        let output = bash.wait_with_output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn bash_offers_ids_groups_and_events_where_they_belong() {
        for words in [
            "cnctl ping cn_t",
            "cnctl send cn_t",
            "cnctl bench cn_t",
            "cnctl listen cn_t",
            "cnctl watch cn_t",
            "cnctl watch --group cn_t",
        ] {
            assert_eq!(offered(words), ["cn_test", "cn_test2"], "{words}");
        }
        for words in ["cnctl proc -e non", "cnctl proc --event non"] {
            assert_eq!(offered(words), ["nonzero-exit"], "{words}");
        }
        assert_eq!(offered("cnctl so"), ["sockets"]);
    }

    #[test]
    fn no_shell_offers_files_for_a_number() {
        // The folder has some.
        assert_eq!(offered("cnctl ping --count ''"), [""]);
        let zsh = completions(Shell::Zsh);
        assert!(
            zsh.contains(":COUNT:'") && !zsh.contains(":COUNT:_default"),
            "{zsh}"
        );
        // But for what is one.
        assert!(zsh.contains(":PATH:_files'"), "{zsh}");
    }

    #[test]
    fn fish_offers_ids_as_well() {
        let fish = completions(Shell::Fish);
        let line = "complete -c cnctl -n \"__fish_cnctl_using_subcommand ping\" -f -a w1 -d '1-wire bus'\n";
        assert!(fish.contains(line), "{fish}");
        assert!(fish.contains("device mapper\\'s"), "{fish}");
    }
}
