// SPDX-License-Identifier: GPL-2.0

//! Which processes are shown: those that meet every condition that the command line has.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
};

use super::{
    processes::{Facts, Process, Processes},
    procfs,
    users::Users,
};
use crate::{cli, escape, outcome::Failure};

/// The conditions. A list that is empty is none.
#[derive(Debug, Default)]
pub(super) struct Selection {
    pub(super) pids: Vec<i32>,
    pgrps: Vec<i32>,
    uids: Vec<u32>,
    cgroups: Vec<Vec<u8>>,
    commands: Vec<OsString>,
}

impl Selection {
    /// # Errors
    ///
    /// If a user is not known.
    pub(super) fn new(args: &cli::Select) -> Result<Self, Failure> {
        let users = Users::read();
        let uids = args.users.iter().map(|user| {
            users.id(user.as_bytes()).ok_or_else(|| {
                format!(
                    "--user '{}': /etc/passwd has no such user; one who is known elsewhere only is given by \
                     number (id -u NAME)",
                    shown(user)
                )
            })
        });
        let cgroups = args.cgroups.iter().map(|cgroup| {
            let mut path = cgroup.as_bytes();
            // As it is in the file system, or as it is shown elsewhere.
            if let Some(rest) = path.strip_prefix(b"/sys/fs/cgroup") {
                if rest.is_empty() || rest.starts_with(b"/") {
                    path = rest;
                }
            }
            while let Some(rest) = path.strip_suffix(b"/") {
                path = rest;
            }
            match path {
                b"" => b"/".to_vec(),
                path => path.to_vec(),
            }
        });
        Ok(Self {
            pids: args.pids.clone(),
            pgrps: args.pgrps.clone(),
            uids: uids.collect::<Result<_, _>>()?,
            cgroups: cgroups.collect(),
            commands: args.commands.clone(),
        })
    }

    /// Whether ids, terminals or process groups have to be known for this.
    pub(super) fn needs_facts(&self) -> bool {
        !self.pgrps.is_empty() || !self.uids.is_empty() || self.needs_cgroups()
    }

    pub(super) fn needs_cgroups(&self) -> bool {
        !self.cgroups.is_empty()
    }

    /// What there is to say of conditions that no process meets, of those that there are, and where
    /// it is not just that a program has yet to be started.
    pub(super) fn unmet(&self, processes: &Processes) -> Vec<String> {
        let any = |met: &dyn Fn(&Facts) -> bool| {
            let mut facts = processes.all().filter_map(|one| one.facts.as_deref());
            facts.any(met)
        };
        let mut unmet = Vec::new();
        for pid in self.pids.iter().filter(|pid| !processes.has(**pid)) {
            // Events are about processes, and so are conditions.
            unmet.push(match procfs::process_of(*pid) {
                Some(process) if process != *pid => format!(
                    "--pid {pid}: that is a thread of process {process}, and no process; try --pid {process}"
                ),
                _ => format!("--pid {pid}: there is no such process at the moment"),
            });
        }
        for pgrp in &self.pgrps {
            if !any(&|facts| facts.pgrp == *pgrp) {
                unmet.push(format!("--pgrp {pgrp}: no process is in it at the moment"));
            }
        }
        for cgroup in &self.cgroups {
            if !any(&|facts| has_cgroup(&facts.cgroups, cgroup)) {
                let cgroup = escape::shown(cgroup);
                unmet.push(format!(
                    "--cgroup '{cgroup}': no process is in it at the moment; /proc/PID/cgroup has what processes \
                     are in"
                ));
            }
        }
        for command in &self.commands {
            // As kernel threads have it in their names. Else it is the path of a program.
            let name = command.as_bytes().rsplit(|byte| *byte == b'/').next();
            let Some(name) = name.filter(|name| *name != command.as_bytes()) else {
                continue;
            };
            if !processes.all().any(|process| is_called(process, command)) {
                unmet.push(format!(
                    "--command '{}': no process is called that at the moment; of a program in a folder, the name \
                     alone counts: --command '{}'",
                    shown(command),
                    escape::shown(name)
                ));
            }
        }
        unmet
    }

    /// Whether a process meets all conditions.
    pub(super) fn has(&self, process: &Process) -> bool {
        let fact = |met: &dyn Fn(&Facts) -> bool| process.facts.as_deref().is_some_and(met);
        (self.pids.is_empty() || process.chosen)
            && (self.pgrps.is_empty() || fact(&|facts| self.pgrps.contains(&facts.pgrp)))
            && (self.uids.is_empty() || fact(&|facts| self.uids.contains(&facts.euid)))
            && (self.cgroups.is_empty()
                || fact(&|facts| {
                    let mut cgroups = self.cgroups.iter();
                    cgroups.any(|cgroup| has_cgroup(&facts.cgroups, cgroup))
                }))
            && (self.commands.is_empty()
                || self
                    .commands
                    .iter()
                    .any(|command| is_called(process, command)))
    }
}

/// Whether a process with these lines of `/proc/PID/cgroup` is in a cgroup.
fn has_cgroup(lines: &[u8], cgroup: &[u8]) -> bool {
    let lines = lines.split(|byte| *byte == b'\n');
    let mut paths = lines.filter_map(|line| line.splitn(3, |byte| *byte == b':').nth(2));
    paths.any(|path| is_in(path, cgroup))
}

fn is_called(process: &Process, command: &OsStr) -> bool {
    let command = Some(command.as_bytes());
    process.name.comm() == command || process.name.short() == command
}

fn shown(text: &OsStr) -> String {
    escape::shown(text.as_bytes())
}

/// Whether a path is a cgroup's or below it. What has no slash at its beginning is a cgroup
/// anywhere.
fn is_in(path: &[u8], cgroup: &[u8]) -> bool {
    if !cgroup.starts_with(b"/") {
        return path.split(|byte| *byte == b'/').any(|name| name == cgroup);
    }
    match path.strip_prefix(cgroup) {
        Some(rest) => rest.is_empty() || rest.starts_with(b"/") || cgroup == b"/",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{name::Naming, processes::Wanted},
        *,
    };
    use crate::cli::NameForm;

    #[test]
    fn a_cgroup_has_what_is_below_it_and_no_namesake() {
        let path = b"/system.slice/ssh.service";
        for cgroup in [
            "/",
            "/system.slice",
            "/system.slice/ssh.service",
            "ssh.service",
        ] {
            assert!(is_in(path, cgroup.as_bytes()), "{cgroup}");
        }
        for cgroup in [
            "/system",
            "/ssh.service",
            "ssh",
            "/system.slice/ssh.service/x",
        ] {
            assert!(!is_in(path, cgroup.as_bytes()), "{cgroup}");
        }
    }

    #[test]
    fn a_condition_that_nothing_meets_is_told_with_what_to_do() {
        let naming = Naming {
            form: NameForm::Full,
            cut: false,
        };
        let wanted = Wanted {
            naming,
            facts: true,
            cgroups: true,
        };
        let mut processes = Processes::new(wanted, &[]);
        processes.scan();
        let own = std::process::id();
        // PID/task/TID.
        let thread = std::fs::read_link("/proc/thread-self").unwrap();
        let thread = thread.file_name().unwrap().to_str().unwrap().parse();
        let program = std::env::current_exe().unwrap().into_os_string();
        let selection = Selection {
            pids: vec![own as i32, thread.unwrap(), i32::MAX],
            pgrps: vec![procfs::stat(own as i32).unwrap().pgrp, i32::MAX],
            cgroups: vec![b"/".to_vec(), b"/nowhere".to_vec(), b"no\xff".to_vec()],
            commands: vec!["init".into(), program],
            ..Selection::default()
        };
        let unmet = selection.unmet(&processes);
        let expected = [
            format!("that is a thread of process {own}"),
            "--pid 2147483647: there is no such process".to_owned(),
            "--pgrp 2147483647: ".to_owned(),
            "--cgroup '/nowhere': ".to_owned(),
            "--cgroup 'no\\xff': ".to_owned(),
            "counts: --command 'cnctl-".to_owned(),
        ];
        assert_eq!(unmet.len(), expected.len(), "{unmet:#?}");
        for (told, expected) in unmet.iter().zip(expected) {
            assert!(told.contains(&expected), "{told}: {expected}");
        }
    }

    #[test]
    fn every_hierarchy_counts() {
        assert!(has_cgroup(b"2:cpu:/x\n0::/a:b/c\n", b"/a:b"));
        assert!(!has_cgroup(b"2:cpu:/x\n0::/a\n", b"/a:b"));
        assert!(!has_cgroup(b"", b"/a:b"));
    }
}
