// SPDX-License-Identifier: GPL-2.0

//! `cnctl list`: what is registered.

use std::os::unix::ffi::OsStrExt;

use netlink_connector::{CbId, Core, known, registered};

use crate::{
    Failure, Outcome,
    cli::{Global, List},
    core, escape,
    output::{Bytes, Object, Output, Tone},
};

pub(crate) fn run(args: &List, global: &Global) -> Result<Outcome, Failure> {
    let output = Output::new(global);
    if args.known {
        for known in known::KNOWN {
            line(output, "known", known.id, known.name.as_bytes());
        }
        return Ok(Outcome::Complete);
    }
    let registered = registered()?;
    // To read the list takes no socket, to find this out does. Without one there is the list alone.
    let core = Core::find().ok();
    match (output.json, core) {
        (true, Some(core)) => {
            output.line(Object::new("connector").string("core", core::word(core)));
        }
        (true, None) => {}
        (false, core) => {
            let of = core.map_or(String::new(), |core| format!("({core})"));
            let title = format!("{:<21} {:<19} {of}", "ID", "NAME");
            output.line(output.toned(Tone::Strong, title.trim_end()));
        }
    }
    for entry in registered {
        line(output, "registered", entry.id, entry.name.as_bytes());
    }
    Ok(Outcome::Complete)
}

fn line(output: Output, event: &str, id: CbId, name: &[u8]) {
    let known = known::by_id(id);
    if output.json {
        let object = Object::new(event)
            .string("id", &id.to_string())
            .value("name", Bytes(name));
        output.line(match known {
            Some(known) => object
                .string("known", known.name)
                .string("what", known.what),
            None => object,
        });
    } else {
        // Padded before it is coloured: escape sequences have no width.
        let id = format!("{:<21}", id.to_string());
        output.line(format_args!(
            "{} {:<19} {}",
            output.toned(Tone::Strong, id),
            escape::shown(name),
            known.map_or("", |known| known.what)
        ));
    }
}
