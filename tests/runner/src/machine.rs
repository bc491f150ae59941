// SPDX-License-Identifier: GPL-2.0

//! What the user wants to be different about the VM: `MEM=`, `CPUS=`, `APPEND=`, `GDB=1`.

use std::time::Duration;

use clap::Args;

/// The CPUs of a VM, unless somebody says otherwise.
pub const CPUS: u32 = 2;

/// A machine other than the usual one.
#[derive(Args, Clone, Debug, Default)]
pub struct Machine {
    /// Memory, as QEMU's -m has it
    #[arg(long)]
    memory: Option<String>,
    /// How many CPUs
    #[arg(long)]
    cpus: Option<u32>,
    /// More words for the kernel's command line
    #[arg(long, default_value = "", allow_hyphen_values = true)]
    append: String,
    /// Wait for gdb at port 1234 before the first instruction
    #[arg(long)]
    gdb: bool,
}

impl Machine {
    /// How many CPUs it has.
    pub fn cpus(&self) -> u32 {
        self.cpus.unwrap_or(CPUS)
    }

    /// A time limit: who is at a debugger has all the time there is.
    pub fn patience(&self, limit: Duration) -> Duration {
        match self.gdb {
            true => Duration::from_secs(7 * 24 * 3600),
            false => limit,
        }
    }

    /// Adds words to the kernel's command line.
    pub fn append(&mut self, words: &str) {
        self.append.push(' ');
        self.append.push_str(words);
    }

    /// The kernel's command line with what is to be added.
    pub fn command_line(&self, usual: &str) -> String {
        // Breakpoints are set where vmlinux has the code.
        let nokaslr = if self.gdb { " nokaslr" } else { "" };
        format!("{usual}{nokaslr} {}", self.append)
            .trim_end()
            .to_owned()
    }

    /// QEMU's options, which outdo those before them.
    pub fn qemu_args(&self) -> Vec<String> {
        let mut args = Vec::new();
        let mut add = |option: &str, value: String| args.extend([option.to_owned(), value]);
        if let Some(memory) = &self.memory {
            add("-m", memory.clone());
        }
        if let Some(cpus) = self.cpus {
            add("-smp", cpus.to_string());
        }
        if self.gdb {
            add("-gdb", "tcp:127.0.0.1:1234".to_owned());
            args.push("-S".to_owned());
        }
        args
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_machine_is_left_as_it_is() {
        let usual = Machine::default();
        assert!(usual.qemu_args().is_empty());
        assert_eq!(usual.command_line("quiet"), "quiet");
        assert_eq!(usual.cpus(), CPUS);
        let limit = Duration::from_secs(60);
        assert_eq!(usual.patience(limit), limit);
    }

    #[test]
    fn another_one_is_as_wanted() {
        let mut other = Machine {
            memory: Some("2G".to_owned()),
            cpus: Some(4),
            append: "a=b".to_owned(),
            gdb: true,
        };
        assert_eq!(
            other.qemu_args(),
            ["-m", "2G", "-smp", "4", "-gdb", "tcp:127.0.0.1:1234", "-S"]
        );
        other.append("c");
        assert_eq!(other.command_line("quiet"), "quiet nokaslr a=b c");
        assert_eq!(other.cpus(), 4);
        assert!(other.patience(Duration::from_secs(60)) > Duration::from_secs(24 * 3600));
    }
}
