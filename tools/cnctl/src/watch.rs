// SPDX-License-Identifier: GPL-2.0

//! `cnctl watch`: what is registered, then every change.
//!
//! The request for notifications comes first and the list of what is registered second, so that
//! nothing is missed in between. What is then both in the list and in a notification is told apart
//! by the state: an id that is known as registered cannot be registered again.

use std::{collections::BTreeMap, process, sync::Arc, time::Duration};

use connector_client::{
    CbId, Connector, Deadline, Error, Event, Message,
    notify::{Change, Ids},
    registered,
};

use crate::{
    Failure, Outcome,
    cli::{Global, Watch},
    clock::Stamp,
    listen,
    output::{Object, Output, Tone},
    signal,
};

/// How long `cn_notify` may take to answer. It does so at once, or is not there.
const ANSWER: Duration = Duration::from_secs(2);

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
        present: BTreeMap::new(),
        left: args.count.unwrap_or(u64::MAX),
    };
    if args.list {
        watcher.read_present("present")?;
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
        connector
            .watch_ids(ids, args.group, ANSWER)
            .map_err(|error| match error {
                Error::TimedOut { .. } => Failure::from(format!(
                    "nobody answers at {}: load the module cn_notify",
                    CbId::NOTIFY
                )),
                error => error.into(),
            })?;
    }
    let watched = watcher.watch(&connector, args.group);
    end();
    watched?;
    Ok(Outcome::Complete)
}

/// Knows what is registered.
struct Watcher {
    output: Output,
    ids: Arc<[Ids]>,
    present: BTreeMap<CbId, String>,
    left: u64,
}

impl Watcher {
    fn watch(
        &mut self,
        connector: &Connector,
        group: connector_client::Group,
    ) -> Result<(), Failure> {
        self.read_present("present")?;
        while self.left > 0 {
            match connector.recv(Deadline::NEVER) {
                Ok(Event::Message(message)) if message.group == Some(group) => {
                    self.change(&message)?;
                }
                Ok(Event::Overrun(overrun)) => {
                    let mut lines = String::new();
                    listen::overrun(&mut lines, self.output, overrun);
                    self.output.flush(&mut lines)?;
                    self.read_present("registered")?;
                }
                Ok(_) => {}
                Err(error @ (Error::Malformed(_) | Error::ForeignSender { .. })) => {
                    eprintln!("cnctl watch: {error}");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads what is registered now, and shows how that differs from what was known: `event` says
    /// what ids are that were not known.
    fn read_present(&mut self, event: &str) -> Result<(), Failure> {
        let now: BTreeMap<_, _> = registered()?
            .into_iter()
            .filter(|entry| self.wants(entry.id))
            .map(|entry| (entry.id, entry.name))
            .collect();
        let before = std::mem::replace(&mut self.present, now);
        for (id, name) in &before {
            if !self.present.contains_key(id) {
                self.show("unregistered", *id, name);
            }
        }
        for (id, name) in &self.present {
            if !before.contains_key(id) {
                self.show(event, *id, name);
            }
        }
        Ok(())
    }

    fn change(&mut self, message: &Message) -> Result<(), Failure> {
        let id = message.header.id;
        if !self.wants(id) {
            return Ok(());
        }
        let known = self.present.contains_key(&id);
        match Change::parse(&message.header) {
            Some(Change::Registered) if !known => {
                // It may be gone again already; then it has no name to show.
                let entry = registered()?.into_iter().find(|entry| entry.id == id);
                let name = entry.map_or(String::new(), |entry| entry.name);
                self.show("registered", id, &name);
                self.present.insert(id, name);
            }
            Some(Change::Unregistered) => {
                let Some(name) = self.present.remove(&id) else {
                    return Ok(());
                };
                self.show("unregistered", id, &name);
            }
            _ => return Ok(()),
        }
        self.left -= 1;
        Ok(())
    }

    fn wants(&self, id: CbId) -> bool {
        self.ids.iter().any(|ids| ids.contains(id))
    }

    fn show(&self, event: &str, id: CbId, name: &str) {
        let time = Stamp::now();
        if self.output.json {
            let object = Object::new(event)
                .value("time", time.seconds())
                .string("id", &id.to_string())
                .string("name", name);
            return self.output.line(object);
        }
        let (sign, tone) = match event {
            "registered" => ("+", Tone::Good),
            "unregistered" => ("-", Tone::Bad),
            _ => (" ", Tone::Strong),
        };
        let change = self
            .output
            .toned(tone, format!("{sign} {:<21}", id.to_string()));
        self.output
            .line(format_args!("{time} {change} {}", name.escape_debug()));
    }
}
