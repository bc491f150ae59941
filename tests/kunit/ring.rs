// SPDX-License-Identifier: GPL-2.0

//! KUnit suite of the ring that changes are kept in; part of `connector_kunit.ko` alone.

use kernel::{
    macros::kunit_tests,
    prelude::*, //
};

use super::Ring;
use crate::{
    wire::notify::Change,
    CbId, //
};

fn id(val: u64) -> CbId {
    CbId {
        idx: 9,
        val: val as u32,
    }
}

#[kunit_tests(connector_ring)]
mod ring {
    use super::*;

    #[test]
    fn changes_come_out_in_order_round_after_round() -> Result {
        let ring = Ring::new()?;
        for number in 0..3 * Ring::SIZE + 5 {
            ring.push(id(number), Change::Registered);
            ring.push(id(number), Change::Unregistered);
            assert!(ring.pop() == Some((id(number), Change::Registered)));
            assert!(ring.pop() == Some((id(number), Change::Unregistered)));
            assert!(ring.pop().is_none());
        }
        assert_eq!(ring.head(), ring.tail());
        assert_eq!(ring.lost(), 0);
        Ok(())
    }

    #[test]
    fn what_finds_no_room_is_counted_and_the_rest_stays() -> Result {
        let ring = Ring::new()?;
        for number in 0..Ring::SIZE + 7 {
            ring.push(id(number), Change::Registered);
        }
        assert_eq!(ring.lost(), 7);
        for number in 0..Ring::SIZE {
            assert!(ring.pop() == Some((id(number), Change::Registered)));
        }
        assert!(ring.pop().is_none());
        ring.push(id(1), Change::Unregistered);
        assert!(ring.pop() == Some((id(1), Change::Unregistered)));
        assert_eq!(ring.lost(), 7);
        Ok(())
    }

    #[test]
    fn an_entry_that_is_being_written_is_not_waited_for() -> Result {
        let ring = Ring::new()?;
        ring.push(id(1), Change::Registered);
        let position = ring.reserve();
        assert!(position.is_some());
        ring.push(id(3), Change::Registered);
        assert!(ring.pop() == Some((id(1), Change::Registered)));
        assert!(ring.pop().is_none());
        assert_eq!(ring.head() - ring.tail(), 2);
        if let Some(position) = position {
            ring.fill(position, id(2), Change::Unregistered);
        }
        assert!(ring.pop() == Some((id(2), Change::Unregistered)));
        assert!(ring.pop() == Some((id(3), Change::Registered)));
        assert!(ring.pop().is_none());
        Ok(())
    }
}
