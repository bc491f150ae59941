// SPDX-License-Identifier: GPL-2.0

//! `ct_open`: a service at `36:1` that lets everybody listen to groups 6 and 31.

use connector::{
    CbId,
    Group,
    Handler,
    Message,
    Registration,
    Sender, //
};
use kernel::prelude::*;

module! {
    type: Module,
    name: "ct_open",
    authors: ["The rust_connector authors"],
    description: "Test: groups that a service opens",
    license: "GPL",
}

struct Open;

const fn group(number: u32) -> Group {
    match Group::new(number) {
        Some(group) => group,
        None => panic!("there is such a group"),
    }
}

impl Handler for Open {
    const OPEN_GROUPS: &'static [Group] = &[group(6), group(31)];

    fn handle(&self, _message: &Message<'_>, _sender: &Sender<'_>) {}
}

struct Module {
    _open: Registration<Open>,
}

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let id = CbId { idx: 36, val: 1 };
        Ok(Self {
            _open: Registration::new(id, c"ct_open", Open)?,
        })
    }
}
