// SPDX-License-Identifier: GPL-2.0

//! What a process is called: its command line and its comm, and how the two are shown.

use super::procfs;
use crate::{cli::NameForm, escape::append};

/// How many bytes of a command line are read where a line of a terminal is all that is shown.
const LINE: u64 = 4096;

/// What names are made for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Naming {
    pub(super) form: NameForm,
    /// Whether what is shown ends at a terminal's edge, so that it need not be read any further.
    pub(super) cut: bool,
}

/// What a process is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Name {
    /// Its arguments, as they are in memory: a NUL behind each. `None` if it has none, as kernel
    /// threads, or they could not be read.
    command_line: Option<Vec<u8>>,
    comm: Option<Vec<u8>>,
    kernel: bool,
    shown: String,
    behind_id: String,
}

impl Name {
    /// What `/proc` says a process is called now, and what else it says with that.
    pub(super) fn read(pid: i32, naming: Naming) -> (Self, Option<procfs::Stat>) {
        let limit = if naming.cut { LINE } else { u64::MAX };
        // Before all else: it is gone first when the process ends.
        let command_line = procfs::command_line(pid, limit).filter(|line| !line.is_empty());
        let stat = procfs::stat(pid);
        let comm = stat.as_ref().map(|stat| stat.comm.clone());
        let kernel = stat.as_ref().is_some_and(|stat| stat.kernel);
        (Self::new(command_line, comm, kernel, naming), stat)
    }

    fn new(
        command_line: Option<Vec<u8>>,
        comm: Option<Vec<u8>>,
        kernel: bool,
        naming: Naming,
    ) -> Self {
        let mut name = Self {
            command_line,
            comm,
            kernel,
            shown: String::new(),
            behind_id: String::new(),
        };
        name.shown = name.show(naming.form);
        if let Some(comm) = &name.comm {
            name.behind_id.push(' ');
            append(&mut name.behind_id, comm);
        }
        name
    }

    /// The name of a process that nothing is known of.
    pub(super) fn unknown() -> Self {
        Self {
            shown: "?".to_owned(),
            ..Self::default()
        }
    }

    /// The same with another comm.
    pub(super) fn with_comm(&self, comm: &[u8], naming: Naming) -> Self {
        let command_line = self.command_line.clone();
        Self::new(command_line, Some(comm.to_vec()), self.kernel, naming)
    }

    pub(super) fn is_known(&self) -> bool {
        self.command_line.is_some() || self.comm.is_some()
    }

    pub(super) fn is_kernel(&self) -> bool {
        self.kernel
    }

    /// The arguments, whose bytes are the kernel's. What has no NUL at its end was written over by
    /// the program itself, and is one argument.
    pub(super) fn arguments(&self) -> Option<impl Iterator<Item = &[u8]>> {
        let line = self.command_line.as_deref()?;
        let line = line.strip_suffix(b"\0").unwrap_or(line);
        Some(line.split(|byte| *byte == 0))
    }

    pub(super) fn comm(&self) -> Option<&[u8]> {
        self.comm.as_deref()
    }

    /// What the program is called: the comm, or if that is not known, the first argument without
    /// its folder.
    pub(super) fn program(&self) -> Option<&[u8]> {
        self.comm().or_else(|| self.short())
    }

    /// The first argument, without its folder.
    pub(super) fn short(&self) -> Option<&[u8]> {
        self.arguments()?
            .next()?
            .rsplit(|byte| *byte == b'/')
            .next()
    }

    /// What is shown to people.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// What is shown of it after a process id: a space and the comm, or nothing.
    pub(super) fn behind_id(&self) -> &str {
        &self.behind_id
    }

    /// What is shown where there is room for little: the comm, if it is known.
    pub(super) fn brief(&self) -> &str {
        match self.behind_id.strip_prefix(' ').filter(|_| !self.kernel) {
            Some(comm) => comm,
            None => &self.shown,
        }
    }

    fn show(&self, form: NameForm) -> String {
        let mut shown = String::new();
        match (form, self.arguments()) {
            (NameForm::Full, Some(arguments)) => {
                for (at, argument) in arguments.enumerate() {
                    if at > 0 {
                        shown.push(' ');
                    }
                    append(&mut shown, argument);
                }
                // Programs that write over their arguments leave NULs.
                shown.truncate(shown.trim_end_matches(' ').len());
            }
            (NameForm::Short, Some(_)) => append(&mut shown, self.short().unwrap_or_default()),
            _ => {}
        }
        if shown.is_empty() {
            match (self.comm(), self.kernel) {
                (Some(comm), true) => {
                    shown.push('[');
                    append(&mut shown, comm);
                    shown.push(']');
                }
                (Some(comm), false) => append(&mut shown, comm),
                (None, _) => shown.push('?'),
            }
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(line: &[u8], comm: &[u8], kernel: bool, form: NameForm) -> Name {
        let some = |bytes: &[u8]| (!bytes.is_empty()).then(|| bytes.to_vec());
        Name::new(some(line), some(comm), kernel, Naming { form, cut: false })
    }

    #[test]
    fn names_are_shown_as_wanted_and_kernel_threads_in_brackets() {
        let line = b"/bin/sh\0-c\0echo hi\0";
        let shown = |form| name(line, b"script", false, form).shown;
        assert_eq!(shown(NameForm::Full), "/bin/sh -c echo hi");
        assert_eq!(shown(NameForm::Short), "sh");
        assert_eq!(shown(NameForm::Comm), "script");
        let brief =
            |line, comm, kernel| name(line, comm, kernel, NameForm::Full).brief().to_owned();
        assert_eq!(brief(line, b"script", false), "script");
        assert_eq!(brief(line, b"", false), "/bin/sh -c echo hi");
        assert_eq!(brief(b"", b"kthreadd", true), "[kthreadd]");
        for form in [NameForm::Full, NameForm::Short, NameForm::Comm] {
            assert_eq!(name(b"", b"kthreadd", true, form).shown, "[kthreadd]");
            assert_eq!(name(b"", b"zombie", false, form).shown, "zombie");
            assert_eq!(name(b"", b"", false, form).shown, "?");
        }
    }

    #[test]
    fn nothing_shown_is_obeyed_by_a_terminal_or_lost() {
        let name = name(b"a\x1b[31m\0\xff\xc3\xa9\x9b\0", b"", false, NameForm::Full);
        assert_eq!(name.shown(), "a\\u{1b}[31m \\xff\u{e9}\\x9b");
        let name = self::name(b"", b"\x1b[31m", false, NameForm::Full);
        assert_eq!(name.behind_id(), " \\u{1b}[31m");
    }

    #[test]
    fn arguments_are_those_that_the_program_was_given() {
        let arguments = |line: &'static [u8]| -> Vec<Vec<u8>> {
            let name = name(line, b"", false, NameForm::Full);
            name.arguments().unwrap().map(<[u8]>::to_vec).collect()
        };
        assert_eq!(arguments(b"a\0\0b c\0"), [&b"a"[..], b"", b"b c"]);
        assert_eq!(arguments(b"\0"), [b""]);
        assert_eq!(arguments(b"sshd: title"), [b"sshd: title"]);
    }
}
