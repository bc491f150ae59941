// SPDX-License-Identifier: GPL-2.0

//! The names of users, from `/etc/passwd`. A static program cannot ask the C library's services,
//! such as LDAP: a user who is known there only is a number here.

use std::{collections::HashMap, fs};

/// Names by user id.
#[derive(Debug, Default)]
pub(super) struct Users(HashMap<u32, String>);

impl Users {
    /// Reads who there is; nobody, if that cannot be read.
    pub(super) fn read() -> Self {
        let passwd = fs::read("/etc/passwd").unwrap_or_default();
        Self::parse(&String::from_utf8_lossy(&passwd))
    }

    fn parse(passwd: &str) -> Self {
        let mut names = HashMap::new();
        for line in passwd.lines() {
            let mut fields = line.split(':');
            let (name, id) = (fields.next(), fields.nth(1));
            if let (Some(name), Some(Ok(id))) = (name, id.map(str::parse)) {
                // Of several names, the first counts, as for the C library.
                names.entry(id).or_insert_with(|| name.to_owned());
            }
        }
        Self(names)
    }

    /// A user's name, or else his number.
    pub(super) fn name(&self, id: u32) -> String {
        self.0.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }

    /// The id of a user who is given by name or by number.
    pub(super) fn id(&self, user: &str) -> Option<u32> {
        let by_name = self.0.iter().find(|(_, name)| *name == user);
        by_name.map(|(id, _)| *id).or_else(|| user.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_known_by_name_and_number() {
        let users = Users::parse("root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/:\nbroken\nme:x:1000:5:");
        assert_eq!(users.name(0), "root");
        assert_eq!(users.name(7), "7");
        assert_eq!(users.id("me"), Some(1000));
        assert_eq!(users.id("7"), Some(7));
        assert_eq!(users.id("nobody"), None);
    }
}
