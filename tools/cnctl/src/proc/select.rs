// SPDX-License-Identifier: GPL-2.0

//! Which processes are shown: those that meet every condition that the command line has.

use super::{
    processes::{Facts, Process},
    users::Users,
};
use crate::{Failure, cli};

/// The conditions. A list that is empty is none.
#[derive(Debug, Default)]
pub(super) struct Selection {
    pub(super) pids: Vec<i32>,
    pgrps: Vec<i32>,
    uids: Vec<u32>,
    cgroups: Vec<String>,
    commands: Vec<String>,
}

impl Selection {
    /// # Errors
    ///
    /// If a user is not known.
    pub(super) fn new(args: &cli::Select) -> Result<Self, Failure> {
        let users = Users::read();
        let uids = args.users.iter().map(|user| {
            let id = users.id(user);
            id.ok_or_else(|| format!("--user '{user}': /etc/passwd has no such user"))
        });
        let cgroups = args.cgroups.iter().map(|cgroup| {
            // As it is in the file system, or as it is shown elsewhere.
            let path = cgroup.strip_prefix("/sys/fs/cgroup").unwrap_or(cgroup);
            match path.trim_end_matches('/') {
                "" => "/".to_owned(),
                path => path.to_owned(),
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

    /// Whether a process meets all conditions.
    pub(super) fn has(&self, process: &Process) -> bool {
        let fact = |met: &dyn Fn(&Facts) -> bool| process.facts.as_deref().is_some_and(met);
        (self.pids.is_empty() || process.chosen)
            && (self.pgrps.is_empty() || fact(&|facts| self.pgrps.contains(&facts.pgrp)))
            && (self.uids.is_empty() || fact(&|facts| self.uids.contains(&facts.euid)))
            && (self.cgroups.is_empty() || fact(&|facts| self.has_cgroup(&facts.cgroups)))
            && (self.commands.is_empty() || self.has_command(process))
    }

    fn has_cgroup(&self, lines: &[u8]) -> bool {
        let lines = lines.split(|byte| *byte == b'\n');
        let mut paths = lines.filter_map(|line| line.splitn(3, |byte| *byte == b':').nth(2));
        paths.any(|path| self.cgroups.iter().any(|cgroup| is_in(path, cgroup)))
    }

    fn has_command(&self, process: &Process) -> bool {
        let is = |name: Option<&[u8]>| {
            name.is_some_and(|name| self.commands.iter().any(|one| one.as_bytes() == name))
        };
        is(process.name.comm()) || is(process.name.short())
    }
}

/// Whether a path is a cgroup's or below it. What has no slash at its beginning is a cgroup
/// anywhere.
fn is_in(path: &[u8], cgroup: &str) -> bool {
    if !cgroup.starts_with('/') {
        return path
            .split(|byte| *byte == b'/')
            .any(|name| name == cgroup.as_bytes());
    }
    match path.strip_prefix(cgroup.as_bytes()) {
        Some(rest) => rest.is_empty() || rest.starts_with(b"/") || cgroup == "/",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_has_what_is_below_it_and_no_namesake() {
        let path = b"/system.slice/ssh.service";
        for cgroup in [
            "/",
            "/system.slice",
            "/system.slice/ssh.service",
            "ssh.service",
        ] {
            assert!(is_in(path, cgroup), "{cgroup}");
        }
        for cgroup in [
            "/system",
            "/ssh.service",
            "ssh",
            "/system.slice/ssh.service/x",
        ] {
            assert!(!is_in(path, cgroup), "{cgroup}");
        }
    }

    #[test]
    fn every_hierarchy_counts() {
        let selection = Selection {
            cgroups: vec!["/a:b".to_owned()],
            ..Selection::default()
        };
        assert!(selection.has_cgroup(b"2:cpu:/x\n0::/a:b/c\n"));
        assert!(!selection.has_cgroup(b"2:cpu:/x\n0::/a\n"));
        assert!(!selection.has_cgroup(b""));
    }
}
