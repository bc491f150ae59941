// SPDX-License-Identifier: GPL-2.0

//! Whether notifications are missing. Every request for notifications numbers its own, and a
//! notification does not say which request it belongs to. So what is known is the set of numbers
//! that may come next.

/// How many requests to follow at most.
const MOST: usize = 64;

/// How many notifications can be missing, for two numbers to be taken for those of one request.
const NEAR: u32 = 1 << 16;

/// The numbers that are due, one for each request seen.
#[derive(Debug, Default)]
pub(crate) struct Sequences {
    due: Vec<u32>,
}

impl Sequences {
    /// Whether the number `got` follows from what came before. If it does not, notifications are
    /// missing, or it is the first one seen of a request that somebody made earlier.
    pub(crate) fn follow(&mut self, got: u32) -> bool {
        let next = got.wrapping_add(1);
        if let Some(due) = self.due.iter_mut().find(|due| **due == got) {
            *due = next;
            return true;
        }
        // A request begins with 0; and before the first notification there is nothing to miss.
        let begins = got == 0 || self.due.is_empty();
        let behind = |due: &u32| got.wrapping_sub(*due);
        let nearest = self.due.iter_mut().min_by_key(|due| behind(due));
        match nearest.filter(|due| !begins && behind(due) < NEAR) {
            Some(due) => *due = next,
            None => {
                if self.due.len() == MOST {
                    self.due.remove(0);
                }
                self.due.push(next);
            }
        }
        begins
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers that do not follow.
    fn gaps(numbers: &[u32]) -> Vec<u32> {
        let mut sequences = Sequences::default();
        let numbers = numbers.iter().copied();
        numbers.filter(|got| !sequences.follow(*got)).collect()
    }

    #[test]
    fn numbers_in_order_have_no_gap_even_where_they_wrap() {
        assert!(gaps(&[7, 8, 9]).is_empty());
        assert!(gaps(&[u32::MAX - 1, u32::MAX, 0, 1]).is_empty());
    }

    #[test]
    fn a_gap_is_seen_once() {
        assert_eq!(gaps(&[0, 1, 5, 6, 7]), [5]);
        assert_eq!(gaps(&[u32::MAX, 3, 4]), [3]);
    }

    #[test]
    fn requests_that_overlap_are_followed_each_by_itself() {
        assert!(gaps(&[0, 0, 1, 1, 2, 2]).is_empty());
        // The second was made before anyone listened; then one of the first is missing.
        assert_eq!(gaps(&[3, 900_000, 4, 900_001, 6, 900_002]), [900_000, 6]);
    }
}
