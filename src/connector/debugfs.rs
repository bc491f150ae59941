// SPDX-License-Identifier: GPL-2.0

//! `rust_connector/` in debugfs: counters.
//!
//! `stats` has a line for every registered id, a line for all that ever were, and how many messages
//! came for an id that had just gone. `services` has what services say about themselves, see
//! [`Handler::show`](crate::Handler::show). Reading them keeps registering and unregistering
//! waiting, but no message.

#[cfg(CONFIG_DEBUG_FS)]
mod file;

use kernel::{
    fmt,
    prelude::*, //
};

use crate::{
    dispatch,
    registry,
    stats::Snapshot, //
};

/// The files. They exist as long as this does.
#[cfg(CONFIG_DEBUG_FS)]
pub(crate) struct Files {
    _dir: file::Dir,
}

#[cfg(CONFIG_DEBUG_FS)]
impl Files {
    pub(crate) fn new() -> Self {
        static STATS: file::Show = show_stats;
        static SERVICES: file::Show = show_services;
        Self {
            _dir: file::Dir::new(
                c"rust_connector",
                [(c"stats", &STATS), (c"services", &SERVICES)],
            ),
        }
    }
}

/// Nothing, on a kernel without debugfs.
#[cfg(not(CONFIG_DEBUG_FS))]
pub(crate) struct Files;

#[cfg(not(CONFIG_DEBUG_FS))]
impl Files {
    pub(crate) fn new() -> Self {
        let _ = (show_stats, show_services);
        Self
    }
}

const HEADING: &str =
    "id received replied dropped_full dropped_gone dropped_nomem dropped_other running name\n";

/// Writes one line, in columns that `awk` can take apart. The name comes last: it may have blanks.
fn show_line(
    f: &mut fmt::Formatter<'_>,
    id: impl fmt::Display,
    counted: &Snapshot,
    running: i64,
    name: impl fmt::Display,
) -> fmt::Result {
    let Snapshot {
        received,
        replied,
        dropped,
    } = counted;
    f.write_fmt(fmt!(
        "{id} {received} {replied} {} {} {} {} {running} {name}\n",
        dropped.full,
        dropped.gone,
        dropped.no_memory,
        dropped.other
    ))
}

fn show_stats(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(HEADING)?;
    let mut total = Snapshot::default();
    let mut total_running = 0;
    registry::for_each(|id, counted, registered| {
        total += counted;
        let Some(registered) = registered else {
            return Ok(());
        };
        total_running += registered.running;
        show_line(f, id, &counted, registered.running, registered.name)
    })?;
    show_line(f, "total", &total, total_running, "-")?;
    f.write_fmt(fmt!("unclaimed {}\n", dispatch::unclaimed()))
}

fn show_services(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    registry::for_each(|id, _, registered| {
        let Some(registered) = registered else {
            return Ok(());
        };
        f.write_fmt(fmt!("{id} {}\n", registered.name))?;
        registered.show(f)
    })
}
