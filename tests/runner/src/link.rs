// SPDX-License-Identifier: GPL-2.0

//! `build/test`, a link to what the last run left.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result};

/// Makes a link to a folder that is beside it or further down; whatever had its name goes.
pub fn make(folder: &Path, link: &Path) -> Result<()> {
    replace(folder, link).with_context(|| format!("cannot make the link {}", link.display()))
}

fn replace(folder: &Path, link: &Path) -> io::Result<()> {
    if link.is_dir() && !link.is_symlink() {
        fs::remove_dir_all(link)?;
    }
    let beside = link.parent().unwrap_or(Path::new("."));
    let target = folder.strip_prefix(beside).unwrap_or(folder);
    let new = link.with_extension("new");
    let _ = fs::remove_file(&new);
    symlink(target, &new)?;
    fs::rename(new, link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_takes_the_place_of_what_was_there() {
        let build = std::env::temp_dir().join(format!("runner-{}-link", std::process::id()));
        let link = build.join("test");
        fs::create_dir_all(&link).expect("there is room for a folder");
        for run in ["one", "two"] {
            let folder = build.join("runs").join(run);
            fs::create_dir_all(&folder).expect("there is room for a folder");
            fs::write(folder.join("name"), run).expect("there is room for a file");
            make(&folder, &link).expect("there is room for a link");
            let name = fs::read_to_string(link.join("name"));
            assert_eq!(name.expect("it leads there"), run);
        }
        // A clone may be moved.
        assert!(fs::read_link(&link).is_ok_and(|target| target.is_relative()));
        let _ = fs::remove_dir_all(build);
    }
}
