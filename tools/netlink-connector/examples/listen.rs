// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Prints what the connector's test module broadcasts, and what of it was lost. Load `cn_test`
//! first, the kernel's or this project's; run it as root, since the group's number is even.

use netlink_connector::{Connector, Deadline, Event, Gaps, Group, Result};

fn main() -> Result<()> {
    let group = Group::new(14).expect("14 is a group");
    let connector = Connector::builder().group(group).open()?;
    let mut gaps = Gaps::default();
    loop {
        match connector.recv(Deadline::NEVER)? {
            Event::Message(message) => {
                if let Some(gap) = gaps.check(&message) {
                    println!("{} missing before:", gap.missing);
                }
                let text = String::from_utf8_lossy(&message.data);
                println!("{} {}: {text}", message.header.id, message.header.seq);
            }
            Event::Overrun(overrun) => println!("{overrun}"),
            _ => {}
        }
    }
}
