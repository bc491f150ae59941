// SPDX-License-Identifier: GPL-2.0

//! `rust_connector/stats` in debugfs: the counters.
//!
//! A line for every registered id, a line for all that ever were, and how many messages came for an
//! id that had just gone. Reading it keeps registering and unregistering waiting, but no message.

use kernel::{
    debugfs::{
        Dir,
        File, //
    },
    fmt,
    prelude::*, //
};

use crate::{
    dispatch,
    registry,
    stats::Snapshot, //
};

/// The files. They exist as long as this does.
#[pin_data]
pub(crate) struct Files {
    dir: Dir,
    #[pin]
    stats: File<()>,
}

impl Files {
    pub(crate) fn new() -> impl PinInit<Self, Error> {
        let dir = Dir::new(c"rust_connector");
        try_pin_init!(Self {
            stats <- dir.read_callback_file(c"stats", (), &|(), f| show(f)),
            dir: dir.clone(),
        })
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

fn show(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(HEADING)?;
    let mut total = Snapshot::default();
    let mut total_running = 0;
    registry::for_each(|id, counted, registered| {
        total += counted;
        let Some((name, running)) = registered else {
            return Ok(());
        };
        total_running += running;
        show_line(f, id, &counted, running, name)
    })?;
    show_line(f, "total", &total, total_running, "-")?;
    f.write_fmt(fmt!("unclaimed {}\n", dispatch::unclaimed()))
}
