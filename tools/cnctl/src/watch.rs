// SPDX-License-Identifier: GPL-2.0

//! `cnctl watch`: what is registered, then every change.
//!
//! `cn_notify` answers a request when it has announced all that happened before. So a request, and
//! what was announced before its answer, come first: what they say is older than the list of what is
//! registered, which comes second, so that nothing is missed in between. Then the same request is
//! sent once more. What was announced since is newer than the list, or in it already; applied to it
//! in order, it makes up the state at that moment. That is shown, and from there on every change.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    process,
    sync::Arc,
    time::Duration,
};

use netlink_connector::{
    CbId, Connector, Deadline, Error, Event, Group, Message, Overrun,
    notify::{Change, Ids},
    registered,
};

use crate::{
    cli::{Global, Watch},
    clock::Stamp,
    escape,
    outcome::{Failure, Outcome},
    output::{Bytes, Object, Output, Tone, complain},
    receiving,
    sequences::Sequences,
    signal, terminal,
};

/// How long `cn_notify` may take to answer. It does so at once, or is not there.
const ANSWER: Duration = Duration::from_secs(2);

/// A terminal of fewer columns has no room for the longest id and a name behind it.
const NARROW: usize = 60;

pub(crate) fn run(args: Watch, global: &Global) -> Result<Outcome, Failure> {
    let output = Output::new(global);
    let ids: Vec<_> = match args.ids.is_empty() {
        true => vec![Ids::every()],
        false => args
            .ids
            .into_iter()
            .map(|pattern| Ids {
                idx: pattern.idx,
                val: pattern.val,
            })
            .collect(),
    };
    let mut watcher = Watcher {
        output,
        ids: ids.into(),
        present: State::new(),
        told: false,
        sequences: Sequences::default(),
        left: args.count.unwrap_or(u64::MAX),
        id_width: match terminal::columns() {
            Some(..NARROW) => 10,
            _ => 21,
        },
    };
    if args.list {
        watcher.show_present(&watcher.list()?, "present");
        return Ok(Outcome::Complete);
    }

    let connector = Arc::new(Connector::open()?);
    let end = {
        let (connector, ids) = (Arc::clone(&connector), Arc::clone(&watcher.ids));
        move || {
            for ids in ids.iter() {
                let _ = connector.unwatch_ids(ids, ANSWER);
            }
        }
    };
    let on_signal = end.clone();
    signal::on_end(move || {
        on_signal();
        process::exit(Outcome::Complete.status().into());
    })?;

    for ids in watcher.ids.iter() {
        watch_ids(&connector, ids, args.group)?;
    }
    let watched = watcher.watch(&connector, args.group);
    end();
    watched?;
    Ok(Outcome::Complete)
}

/// Asks for notifications. What was announced before the answer has been received then.
fn watch_ids(connector: &Connector, ids: &Ids, group: Group) -> Result<(), Failure> {
    loop {
        return match connector.watch_ids(ids, group, ANSWER) {
            // Notifications left no room for the answer. They have been received meanwhile.
            Err(Error::TimedOut { overrun: true, .. }) => continue,
            Err(Error::TimedOut { .. } | Error::NotRegistered { .. }) => {
                Err(Failure::from(format!(
                    "nobody answers at {}: load the module cn_notify",
                    CbId::NOTIFY
                )))
            }
            other => Ok(other?),
        };
    }
}

/// What is registered, by id, with its name.
type State = BTreeMap<CbId, OsString>;

/// Knows what is registered.
struct Watcher {
    output: Output,
    ids: Arc<[Ids]>,
    present: State,
    /// Whether the state was shown, and changes are what comes.
    told: bool,
    sequences: Sequences,
    left: u64,
    /// How many columns an id takes.
    id_width: usize,
}

impl Watcher {
    fn watch(&mut self, connector: &Connector, group: Group) -> Result<(), Failure> {
        self.synchronise(connector, group, "present")?;
        while self.left > 0 {
            match connector.recv(Deadline::NEVER) {
                Ok(Event::Message(message)) => {
                    let follows = self.follows(&message, group);
                    if let Some((id, change)) = self.change(&message, group) {
                        self.apply(id, change)?;
                    }
                    // cn_notify leaves a gap for changes that came too fast to be announced.
                    if !follows {
                        self.synchronise(connector, group, "registered")?;
                    }
                }
                Ok(Event::Overrun(overrun)) => {
                    self.show_overrun(overrun)?;
                    self.synchronise(connector, group, "registered")?;
                }
                Ok(_) => {}
                Err(error) => refused(error)?,
            }
        }
        Ok(())
    }

    /// Finds out what is registered now, and shows how it differs from what was known.
    fn synchronise(
        &mut self,
        connector: &Connector,
        group: Group,
        event: &str,
    ) -> Result<(), Failure> {
        let now = self.state(connector, group)?;
        self.show_present(&now, event);
        self.told = true;
        Ok(())
    }

    /// What is registered now. Every change up to now is taken account of, and none after it has
    /// been received.
    fn state(&mut self, connector: &Connector, group: Group) -> Result<State, Failure> {
        loop {
            // The list is newer than these, also where some are missing that would undo others: they have
            // happened when one more request is answered.
            self.announced(connector, group, |_, _, _| Ok(()))?;
            self.ask_again(connector, group)?;
            let mut state = self.list()?;
            let complete = self.announced(connector, group, |watcher, id, change| {
                match change {
                    Change::Registered if !state.contains_key(&id) => {
                        state.insert(id, watcher.name(id)?);
                    }
                    Change::Registered => {}
                    Change::Unregistered => {
                        state.remove(&id);
                    }
                }
                Ok(())
            })?;
            if complete {
                return Ok(state);
            }
        }
    }

    /// Calls `f` for every change up to now that was announced and has not been received. Returns
    /// whether none is missing.
    fn announced(
        &mut self,
        connector: &Connector,
        group: Group,
        mut f: impl FnMut(&Self, CbId, Change) -> Result<(), Failure>,
    ) -> Result<bool, Failure> {
        self.ask_again(connector, group)?;
        let mut complete = true;
        loop {
            match connector.recv(Deadline::NOW) {
                Ok(Event::Message(message)) => {
                    complete &= self.follows(&message, group);
                    if let Some((id, change)) = self.change(&message, group) {
                        f(self, id, change)?;
                    }
                }
                Ok(Event::Overrun(overrun)) => {
                    self.show_overrun(overrun)?;
                    complete = false;
                }
                Ok(_) => {}
                Err(error) if error.is_timeout() => return Ok(complete),
                Err(error) => refused(error)?,
            }
        }
    }

    /// Changes nothing, and has what was announced before have happened.
    fn ask_again(&self, connector: &Connector, group: Group) -> Result<(), Failure> {
        match self.ids.first() {
            Some(ids) => watch_ids(connector, ids, group),
            None => Ok(()),
        }
    }

    /// The ids in `/proc/net/connector` that are wanted.
    fn list(&self) -> Result<State, Failure> {
        Ok(registered()?
            .into_iter()
            .filter(|entry| self.wants(entry.id))
            .map(|entry| (entry.id, entry.name))
            .collect())
    }

    /// The name of an id; none if it is gone again already.
    fn name(&self, id: CbId) -> Result<OsString, Failure> {
        Ok(self.list()?.remove(&id).unwrap_or_default())
    }

    /// Makes `now` the state, and shows how it differs from what was known: `event` says what ids
    /// are that were not known.
    fn show_present(&mut self, now: &State, event: &str) {
        let before = std::mem::replace(&mut self.present, now.clone());
        for (id, name) in before.iter().filter(|(id, _)| !now.contains_key(id)) {
            self.show("unregistered", *id, name);
        }
        for (id, name) in now.iter().filter(|(id, _)| !before.contains_key(id)) {
            self.show(event, *id, name);
        }
    }

    /// Shows that notifications were dropped, unless the state that is shown next has it all.
    fn show_overrun(&self, overrun: Overrun) -> Result<(), Failure> {
        if !self.told {
            return Ok(());
        }
        let mut lines = String::new();
        receiving::overrun(&mut lines, self.output, overrun);
        Ok(self.output.flush(&mut lines)?)
    }

    /// What a message says has changed, if it is a notification that is wanted.
    fn change(&self, message: &Message, group: Group) -> Option<(CbId, Change)> {
        let id = message.header.id;
        let wanted = message.group == Some(group) && self.wants(id);
        Some((id, Change::parse(&message.header).filter(|_| wanted)?))
    }

    /// Whether a message follows from the notifications before it.
    fn follows(&mut self, message: &Message, group: Group) -> bool {
        let header = &message.header;
        if message.group != Some(group) || Change::parse(header).is_none() {
            return true;
        }
        self.sequences.follow(header.seq)
    }

    /// Shows a change. Where requests overlap, each announces it; it is shown once.
    fn apply(&mut self, id: CbId, change: Change) -> Result<(), Failure> {
        match change {
            Change::Registered if !self.present.contains_key(&id) => {
                let name = self.name(id)?;
                self.show("registered", id, &name);
                self.present.insert(id, name);
            }
            Change::Unregistered => {
                let Some(name) = self.present.remove(&id) else {
                    return Ok(());
                };
                self.show("unregistered", id, &name);
            }
            Change::Registered => return Ok(()),
        }
        self.left -= 1;
        Ok(())
    }

    fn wants(&self, id: CbId) -> bool {
        self.ids.iter().any(|ids| ids.contains(id))
    }

    fn show(&self, event: &str, id: CbId, name: &OsStr) {
        let time = Stamp::now();
        if self.output.json {
            let object = Object::new(event)
                .value("time", time.seconds())
                .string("id", &id.to_string())
                .value("name", Bytes(name.as_bytes()));
            return self.output.line(object);
        }
        let (sign, tone) = match event {
            "registered" => ("+", Tone::Good),
            "unregistered" => ("-", Tone::Bad),
            _ => (" ", Tone::Strong),
        };
        let change = self.output.toned(
            tone,
            format!("{sign} {:<1$}", id.to_string(), self.id_width),
        );
        self.output.line(format_args!(
            "{time} {change} {}",
            escape::shown(name.as_bytes())
        ));
    }
}

/// Reports a datagram that was refused; any other error is the end.
fn refused(error: Error) -> Result<(), Failure> {
    if !error.is_dropped_datagram() {
        return Err(error.into());
    }
    complain("watch", error);
    Ok(())
}
