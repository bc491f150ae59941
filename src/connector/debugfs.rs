// SPDX-License-Identifier: GPL-2.0

//! `rust_connector/` in debugfs: counters.
//!
//! `stats` has a line for every registered id, a line for all that ever were, and how many messages
//! came for an id that had just gone. `services` has what services say about themselves, see
//! [`Handler::show`](crate::Handler::show). No lock is held while a service shows itself; only who
//! unregisters it waits.

#[cfg(CONFIG_DEBUG_FS)]
mod file;
#[cfg(not(CONFIG_DEBUG_FS))]
#[path = "debugfs/none.rs"]
mod file;

use kernel::{
    fmt,
    prelude::*, //
};

pub(crate) use self::file::Files;
use self::file::Show;
use crate::{
    dispatch,
    registry,
    service::Service,
    stats::Snapshot, //
};

/// Makes the files.
pub(crate) fn files() -> impl PinInit<Files> {
    static STATS: Show = show_stats;
    static SERVICES: Show = show_services;
    Files::new(
        c"rust_connector",
        [(c"stats", &STATS), (c"services", &SERVICES)],
    )
}

const HEADING: &str =
    "id received replied dropped_full dropped_gone dropped_nomem dropped_other running name\n";

/// Writes one line, in columns that `awk` can take apart. The name comes last: it may have blanks.
fn show_line(
    f: &mut fmt::Formatter<'_>,
    id: impl fmt::Display,
    counted: Snapshot,
    running: i64,
    name: impl fmt::Display,
) -> fmt::Result {
    let Snapshot {
        received,
        replied,
        full,
        gone,
        no_memory,
        other,
    } = counted;
    f.write_fmt(fmt!(
        "{id} {received} {replied} {full} {gone} {no_memory} {other} {running} {name}\n"
    ))
}

fn show_stats(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Ok(list) = registry::list() else {
        return f.write_str(NO_MEMORY);
    };
    f.write_str(HEADING)?;
    let (mut total, mut total_running) = (list.others, list.others_running);
    for (service, counted, running) in &list.registered {
        total += *counted;
        total_running += running;
        show_line(f, service.id(), *counted, *running, service.name())?;
    }
    show_line(f, "total", total, total_running, "-")?;
    f.write_fmt(fmt!("unclaimed {}\n", dispatch::unclaimed()))
}

fn show_services(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Ok(list) = registry::list() else {
        return f.write_str(NO_MEMORY);
    };
    for (service, ..) in &list.registered {
        // One that goes meanwhile is left out.
        let Some(running) = Service::visit(service) else {
            continue;
        };
        f.write_fmt(fmt!("{} {}\n", service.id(), service.name()))?;
        running.show(f)?;
    }
    Ok(())
}

const NO_MEMORY: &str = "no memory to list the ids\n";
