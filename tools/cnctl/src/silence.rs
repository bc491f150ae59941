// SPDX-License-Identifier: GPL-2.0

//! Why no reply came, as far as can be found out.

use std::{fmt::Display, time::Duration};

use netlink_connector::{CbId, Error, registered};

use crate::{
    outcome::{Failure, Outcome},
    output::complain,
};

/// Where nobody can have replied.
pub(crate) const NOBODY: &str = "nobody has registered this id (see cnctl list)";

/// Says on behalf of `command` that there was no reply to the request that `request` names, and why; what
/// else went wrong is a failure.
pub(crate) fn tell(
    command: &str,
    request: impl Display,
    id: CbId,
    limit: Duration,
    error: Error,
) -> Result<Outcome, Failure> {
    match explained(id, limit, &error) {
        Some(what) => complain(command, format_args!("{request}: {what}")),
        None if matches!(error, Error::NotRegistered { .. }) => complain(command, error),
        None => return Err(error.into()),
    }
    Ok(Outcome::Incomplete)
}

/// Why no reply came from `id` within `limit`, if that is what this error is.
pub(crate) fn explained(id: CbId, limit: Duration, error: &Error) -> Option<String> {
    let Error::TimedOut {
        overrun,
        acknowledged,
        ..
    } = error
    else {
        return None;
    };
    let cause = if *overrun {
        "the receive buffer overran"
    } else if *acknowledged {
        "its owner has handled it, and does not reply"
    } else {
        match is_registered(id) {
            Some(false) => NOBODY,
            Some(true) => "its owner does not reply, or the reply was lost",
            None => {
                "nobody has registered this id, its owner does not reply, or the reply was lost"
            }
        }
    };
    let seconds = (limit.as_secs_f64() * 1e6).round() / 1e6;
    Some(format!("no reply within {seconds} s: {cause}"))
}

/// `None` if the kernel does not tell.
fn is_registered(id: CbId) -> Option<bool> {
    let registered = registered().ok()?;
    Some(registered.iter().any(|entry| entry.id == id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_told_and_no_other_error_is_taken_for_silence() {
        let timed_out = |overrun, acknowledged| Error::TimedOut {
            request: None,
            overrun,
            acknowledged,
        };
        let explained =
            |error| super::explained(CbId { idx: 77, val: 77 }, Duration::from_millis(50), &error);
        assert_eq!(
            explained(timed_out(true, true)).as_deref(),
            Some("no reply within 0.05 s: the receive buffer overran")
        );
        let handled = explained(timed_out(false, true)).unwrap();
        assert!(
            handled.ends_with("has handled it, and does not reply"),
            "{handled}"
        );
        // Whether this machine has a list or not.
        let silent = explained(timed_out(false, false)).unwrap();
        assert!(
            silent.contains(": nobody has registered this id"),
            "{silent}"
        );
        assert_eq!(explained(Error::Interrupted), None);
    }
}
