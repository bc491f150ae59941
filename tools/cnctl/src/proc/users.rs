// SPDX-License-Identifier: GPL-2.0

//! The names of users, from `/etc/passwd`. A static program cannot ask the C library's services,
//! such as LDAP: a user who is known there only is a number here.

use std::{collections::HashMap, fs};

use crate::escape;

/// Who there is, as bytes: names need not be UTF-8.
#[derive(Debug, Default)]
pub(super) struct Users {
    /// A user's name is the first of several, as for the C library.
    names: HashMap<u32, Vec<u8>>,
    /// Whichever name is given, the user is known by it.
    ids: HashMap<Vec<u8>, u32>,
}

impl Users {
    /// Reads who there is; nobody, if that cannot be read.
    pub(super) fn read() -> Self {
        Self::parse(&fs::read("/etc/passwd").unwrap_or_default())
    }

    fn parse(passwd: &[u8]) -> Self {
        let mut users = Self::default();
        for line in passwd.split(|byte| *byte == b'\n') {
            let mut fields = line.split(|byte| *byte == b':');
            if let (Some(name), Some(id)) = (fields.next(), fields.nth(1).and_then(number)) {
                users.names.entry(id).or_insert_with(|| name.to_vec());
                users.ids.entry(name.to_vec()).or_insert(id);
            }
        }
        users
    }

    /// A user's name, or else his number.
    pub(super) fn name(&self, id: u32) -> String {
        let name = self.names.get(&id);
        name.map_or_else(|| id.to_string(), |name| escape::shown(name))
    }

    /// The id of a user who is given by name or by number.
    pub(super) fn id(&self, user: &[u8]) -> Option<u32> {
        // The last number is nobody's: it stands for "as it was" in setuid(2).
        let number = || number(user).filter(|id| *id != u32::MAX);
        self.ids.get(user).copied().or_else(number)
    }
}

fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_known_by_name_and_number() {
        let users = Users::parse(
            b"root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/:\nbroken\nme:x:1000:5:\n\xff\x1b:x:9:9:",
        );
        assert_eq!(users.name(0), "root");
        assert_eq!(users.name(7), "7");
        assert_eq!(users.name(9), "\\xff\\u{1b}");
        assert_eq!(users.id(b"me"), Some(1000));
        assert_eq!(users.id(b"toor"), Some(0));
        assert_eq!(users.id(b"\xff\x1b"), Some(9));
        assert_eq!(users.id(b"7"), Some(7));
        assert_eq!(users.id(b"nobody"), None);
        assert_eq!(users.id(b"4294967295"), None);
    }
}
