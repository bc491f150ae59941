// SPDX-License-Identifier: GPL-2.0

//! `cnctl list`: what is registered.

use std::os::unix::ffi::OsStrExt;

use netlink_connector::{CbId, Core, known, registered};

use crate::{
    cli::{Global, List},
    core, escape,
    outcome::{Failure, Outcome},
    output::{Bytes, Object, Output, Tone},
    table::{Cell, Side, Table},
};

pub(crate) fn run(args: &List, global: &Global) -> Result<Outcome, Failure> {
    let output = Output::new(global);
    if args.known {
        let known = known::KNOWN
            .iter()
            .map(|known| (known.id, known.name.as_bytes()));
        show(output, "known", None, known);
        return Ok(Outcome::Complete);
    }
    let registered = registered()?;
    // To read the list takes no socket, to find this out does. Without one there is the list alone.
    let core = Core::find().ok();
    let entries = registered
        .iter()
        .map(|entry| (entry.id, entry.name.as_bytes()));
    show(output, "registered", core, entries);
    Ok(Outcome::Complete)
}

fn show<'a>(
    output: Output,
    event: &str,
    core: Option<Core>,
    entries: impl Iterator<Item = (CbId, &'a [u8])>,
) {
    if output.json {
        if let Some(core) = core {
            output.line(Object::new("connector").string("core", core::word(core)));
        }
        return entries.for_each(|(id, name)| output.line(object(event, id, name)));
    }
    let of = core.map_or(String::new(), |core| format!("({core})"));
    let titles = ["ID".to_owned(), "NAME".to_owned(), of];
    let mut table = Table::new(output, titles.map(|title| (title, Side::Left)));
    for (id, name) in entries {
        table.row([
            Cell::toned(id.to_string(), Tone::Strong),
            escape::shown(name).into(),
            known::by_id(id).map_or("", |known| known.what).into(),
        ]);
    }
    table.show();
}

fn object(event: &str, id: CbId, name: &[u8]) -> Object {
    let object = Object::new(event)
        .string("id", &id.to_string())
        .value("name", Bytes(name));
    match known::by_id(id) {
        Some(known) => object
            .string("known", known.name)
            .string("what", known.what),
        None => object,
    }
}
