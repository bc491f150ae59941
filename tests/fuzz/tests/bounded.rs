// SPDX-License-Identifier: GPL-2.0

//! The properties, for a bounded number of inputs from a fixed seed: the same in every run.
//!
//! Random bytes hardly ever get past the first check of a parser. So most inputs are made honestly
//! and then spoilt in a few places.

use connector_wire::{
    CbId, Header,
    notify::{ControlHeader, Range},
};
use fuzz_properties as properties;
use netlink_connector::Batch;
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

/// Runs a property for 1000 inputs of this kind.
fn check(inputs: impl Strategy<Value = Vec<u8>>, property: fn(&[u8])) {
    check_some(1000, inputs, property);
}

/// Runs a property for `cases` inputs of this kind.
fn check_some(cases: u32, inputs: impl Strategy<Value = Vec<u8>>, property: fn(&[u8])) {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let seed = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    TestRunner::new_with_rng(config, seed)
        .run(&inputs, |input| {
            property(&input);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

/// Numbers with the edges among them.
fn number() -> impl Strategy<Value = u32> {
    prop_oneof![
        any::<u32>(),
        0..40u32,
        Just(0x7fff_ffff),
        Just(0x8000_0000),
        Just(u32::MAX),
    ]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..200)
}

fn header() -> impl Strategy<Value = Header> {
    (number(), number(), number(), number(), any::<u16>()).prop_map(
        |(idx, val, seq, ack, flags)| Header {
            id: CbId { idx, val },
            seq,
            ack,
            len: 0,
            flags,
        },
    )
}

/// Well-formed datagrams of a few messages.
fn datagram() -> impl Strategy<Value = Vec<u8>> {
    vec((header(), vec(any::<u8>(), 0..40)), 1..5).prop_map(|messages| {
        let mut batch = Batch::new();
        for (header, data) in messages {
            batch.push(&header, &data).expect("there is room");
        }
        batch.as_bytes().to_vec()
    })
}

/// Well-formed requests for notifications, but for ranges that wrap and groups that do not exist.
fn control() -> impl Strategy<Value = Vec<u8>> {
    let ranges = || {
        let range = (number(), number()).prop_map(|(first, range)| Range { first, range });
        vec(range, 0..4)
    };
    (ranges(), ranges(), 0..40u32).prop_map(|(idx, val, group)| {
        let header = ControlHeader {
            idx_ranges: idx.len() as u32,
            val_ranges: val.len() as u32,
            group,
            len: ((idx.len() + val.len()) * Range::SIZE) as u32,
        };
        let ranges = idx.iter().chain(&val).flat_map(|range| range.to_bytes());
        header.to_bytes().into_iter().chain(ranges).collect()
    })
}

/// The input with some bytes changed, then cut or lengthened.
fn spoilt(input: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changes = vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    let end = prop_oneof![3 => Just(0isize), 1 => -24..8isize];
    (input, changes, end).prop_map(|(mut input, changes, end)| {
        for (at, byte) in changes {
            if !input.is_empty() {
                let at = at.index(input.len());
                input[at] = byte;
            }
        }
        let len = input.len().saturating_add_signed(end);
        input.resize(len, 0);
        input
    })
}

#[test]
fn any_datagram_comes_apart_or_is_refused_with_its_place() {
    check(bytes(), properties::datagram);
    check(datagram(), properties::datagram);
    check(spoilt(datagram()), properties::datagram);
}

#[test]
fn any_payload_comes_apart_or_is_refused_with_its_place() {
    let payload = || datagram().prop_map(|datagram| datagram[16..].to_vec());
    check(bytes(), properties::payload);
    check(spoilt(payload()), properties::payload);
}

#[test]
fn any_header_survives_and_has_its_own_reply() {
    check(bytes(), properties::header);
    check(
        header().prop_map(|h| h.to_bytes().to_vec()),
        properties::header,
    );
}

#[test]
fn any_request_for_notifications_is_what_it_says_or_refused() {
    check(bytes(), properties::control);
    check(control(), properties::control);
    check(spoilt(control()), properties::control);
}

#[test]
fn any_process_event_can_be_shown() {
    check(bytes(), properties::proc_event);
    let kinds = prop_oneof![(0..32u32).prop_map(|bit| 1u32 << bit), Just(0)];
    let event = (kinds, vec(any::<u8>(), 36))
        .prop_map(|(what, rest)| [&what.to_ne_bytes()[..], &rest].concat());
    check(spoilt(event), properties::proc_event);
}

#[test]
fn any_text_is_an_id_or_is_not() {
    let text = prop::sample::select(&[
        "0x1:2",
        "16:1",
        "proc",
        "cn_test",
        "4294967295:0",
        "4294967296:0",
        "0X:",
        "::",
        "-1:+2",
    ]);
    check(bytes(), properties::id);
    check(
        spoilt(text.prop_map(|text| text.as_bytes().to_vec())),
        properties::id,
    );
}

#[test]
fn any_messages_put_together_come_apart_as_they_were() {
    check(bytes(), properties::batch);
    let payload = datagram().prop_map(|datagram| datagram[16..].to_vec());
    check(spoilt(payload), properties::batch);
    check_some(10, vec(any::<u8>(), 16000..40000), properties::batch);
}
