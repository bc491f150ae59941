// SPDX-License-Identifier: GPL-2.0

//! Lists what a crate makes public: reads rustdoc's JSON from standard input, and prints a line for
//! every item that a user can name, sorted. `make test` compares that with the list beside this
//! crate, so that nothing becomes public by accident.
//!
//! A line is the kind and the path of an item: modules, types with their public fields, variants
//! and methods, traits with what is in them, functions, constants, re-exports; and for a type the
//! traits that it implements, and whether it is `Send` and `Sync` (`auto`). What is implemented for
//! everything is left out. Only what the JSON of all versions of rustdoc have in common is looked at.

use std::{collections::BTreeSet, io};

use anyhow::{Context, Result};
use serde_json::Value;

fn main() -> Result<()> {
    let json: Value = serde_json::from_reader(io::stdin().lock()).context("rustdoc's JSON")?;
    let mut list = List {
        index: &json["index"],
        lines: BTreeSet::new(),
    };
    let root = list.item(&json["root"]).context("no root")?;
    let name = root["name"].as_str().context("the crate has no name")?;
    list.module(root, name);
    for line in list.lines {
        println!("{line}");
    }
    Ok(())
}

struct List<'a> {
    index: &'a Value,
    lines: BTreeSet<String>,
}

impl<'a> List<'a> {
    /// The item of an id, unless it is another crate's, or hidden.
    fn item(&self, id: &Value) -> Option<&'a Value> {
        let key = match id {
            Value::String(id) => id.clone(),
            id => id.to_string(),
        };
        self.index.get(key)
    }

    fn add(&mut self, kind: &str, path: &str) {
        self.lines.insert(format!("{kind} {path}"));
    }

    fn module(&mut self, module: &'a Value, path: &str) {
        self.add("mod", path);
        for id in ids(&module["inner"]["module"]["items"]) {
            self.public(id, path);
        }
    }

    /// An item in a module, at `path`.
    fn public(&mut self, id: &Value, path: &str) {
        let Some(item) = self.item(id) else { return };
        if let Some(reexport) = item["inner"].get("use") {
            let source = reexport["source"].as_str().unwrap_or_default();
            match self.item(&reexport["id"]) {
                // What lies in a private module of the same crate is public here.
                Some(_) => self.public(&reexport["id"], path),
                None => {
                    let name = reexport["name"].as_str().unwrap_or_default();
                    self.add("use", &format!("{path}::{name} = {source}"));
                }
            }
            return;
        }
        let Some((kind, inner)) = item["inner"].as_object().and_then(|all| all.iter().next())
        else {
            return;
        };
        let path = format!("{path}::{}", item["name"].as_str().unwrap_or_default());
        match kind.as_str() {
            "module" => return self.module(item, &path),
            "struct" | "union" => {
                let shape = &inner["kind"];
                self.members(&shape["plain"]["fields"], &path);
                self.members(&shape["tuple"], &path);
                self.members(&inner["fields"], &path);
            }
            "enum" => self.members(&inner["variants"], &path),
            "trait" => self.members(&inner["items"], &path),
            _ => {}
        }
        self.impls(&inner["impls"], &path);
        self.add(kind, &path);
    }

    /// What is in a type or a trait. rustdoc has left out what is private.
    fn members(&mut self, members: &'a Value, path: &str) {
        for id in ids(members) {
            let Some(member) = self.item(id) else {
                continue;
            };
            for kind in member["inner"]
                .as_object()
                .into_iter()
                .flat_map(|o| o.keys())
            {
                let name = member["name"].as_str().unwrap_or_default();
                self.add(kind, &format!("{path}::{name}"));
            }
        }
    }

    fn impls(&mut self, impls: &'a Value, path: &str) {
        for id in ids(impls) {
            let Some(item) = self.item(id) else { continue };
            let block = &item["inner"]["impl"];
            if !block["blanket_impl"].is_null() {
                continue;
            }
            if block["trait"].is_null() {
                self.members(&block["items"], path);
                continue;
            }
            // `path` in JSON of today, `name` in older.
            let name = &block["trait"];
            let name = name["path"].as_str().or(name["name"].as_str());
            let name = name.unwrap_or_default();
            let name = name.rsplit("::").next().unwrap_or_default();
            let is_auto = block["is_synthetic"] == true;
            // Of those that a type has by itself, two matter. `StructuralPartialEq` comes with
            // deriving `PartialEq`.
            if is_auto && !matches!(name, "Send" | "Sync") || name.starts_with("Structural") {
                continue;
            }
            let is_not = if block["is_negative"] == true {
                "!"
            } else {
                ""
            };
            let kind = if is_auto { "auto" } else { "impl" };
            self.add(kind, &format!("{path}: {is_not}{name}"));
        }
    }
}

fn ids(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// What the client makes public, and what its own tests assert of it.
    const PUBLIC: &str = include_str!("../netlink_connector.txt");
    const ASSERTED: &str = include_str!("../../../tools/netlink-connector/tests/traits.rs");

    #[test]
    fn of_every_public_type_of_the_client_it_is_asserted_what_can_be_done_with_it() {
        let mut types = BTreeSet::new();
        for line in PUBLIC.lines() {
            let (kind, path) = line.split_once(' ').unwrap();
            // What is of another crate is a type if it is written like one.
            let (path, _) = path.split_once(" = ").unwrap_or((path, ""));
            let name = path.rsplit("::").next().unwrap();
            let is_type = name.starts_with(char::is_uppercase) && name.contains(char::is_lowercase);
            if ["struct", "enum", "union"].contains(&kind) || kind == "use" && is_type {
                types.insert(path.replacen("netlink_connector", "client", 1));
            }
        }
        assert!(types.len() > 30, "{types:?}");
        // By one of its names, where there are two.
        types.remove("client::proc::ProcEvent");
        for path in types {
            let asserted = ["", "<'_>"].map(|lifetime| format!("free::<{path}{lifetime}>();"));
            assert!(
                asserted.iter().any(|line| ASSERTED.contains(line)),
                "tests/traits.rs says nothing of {path}"
            );
        }
    }
}
