// SPDX-License-Identifier: GPL-2.0

//! The kernel's taint flags: Documentation/admin-guide/tainted-kernels.rst of Linux 7.3.

/// Whether a flag tells of trouble.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Means {
    Trouble,
    /// The machine, how the kernel was built, or that modules are tested in it.
    Nothing,
}

use Means::{Nothing, Trouble};

/// By bit: the letter in the log, and what happened.
const FLAGS: [(Means, &str); 20] = [
    // Every module here has the kernel's licence.
    (Trouble, "P (a proprietary module was loaded)"),
    (Trouble, "F (a module was loaded by force)"),
    (Nothing, "S (the processor is out of specification)"),
    (Trouble, "R (a module was unloaded by force)"),
    (Trouble, "M (a machine check exception)"),
    (Trouble, "B (a bad page, or corrupt memory)"),
    (Trouble, "U (a program asked for it)"),
    (Trouble, "D (an oops or a BUG)"),
    (Nothing, "A (an ACPI table was overridden)"),
    (Trouble, "W (a warning)"),
    (Trouble, "C (a staging driver was loaded)"),
    (Nothing, "I (a workaround for the firmware)"),
    (Nothing, "O (an out-of-tree module was loaded)"),
    (Nothing, "E (an unsigned module was loaded)"),
    (Trouble, "L (a soft lockup)"),
    (Nothing, "K (the kernel was live patched)"),
    (Nothing, "X (the distribution's own)"),
    (Nothing, "T (built with randomised structures)"),
    (Nothing, "N (a test was run in the kernel)"),
    (Trouble, "J (a program debugged a device through fwctl)"),
];

/// What the taint flags say that the log may have lost: the first flag that is trouble, with its
/// letter. A flag that Linux 7.3 does not know is trouble.
pub fn bad_taint(tainted: u64) -> Option<&'static str> {
    let known = FLAGS
        .iter()
        .enumerate()
        .find(|(bit, (means, _))| *means == Trouble && tainted & (1 << bit) != 0)
        .map(|(_, (_, words))| *words);
    known.or((tainted >> FLAGS.len() != 0).then_some("? (a flag that Linux 7.3 does not have)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn testing_modules_is_fine() {
        assert_eq!(bad_taint(0), None);
        assert_eq!(bad_taint((1 << 12) | (1 << 13) | (1 << 18)), None);
    }

    #[test]
    fn trouble_is_named() {
        assert_eq!(bad_taint((1 << 12) | (1 << 9)), Some("W (a warning)"));
        assert_eq!(bad_taint(1 << 7), Some("D (an oops or a BUG)"));
        assert!(bad_taint(1 << 20).is_some_and(|flag| flag.starts_with('?')));
        assert!(bad_taint(1 << 63).is_some_and(|flag| flag.starts_with('?')));
    }

    #[test]
    fn the_letters_are_the_kernel_s() {
        // kernel/panic.c, taint_flags[], in the order of their bits.
        let letters: String = FLAGS.iter().map(|(_, words)| &words[..1]).collect();
        assert_eq!(letters, "PFSRMBUDAWCIOELKXTNJ");
        let trouble: String = (0..FLAGS.len())
            .filter_map(|bit| bad_taint(1 << bit))
            .map(|words| &words[..1])
            .collect();
        assert_eq!(trouble, "PFRMBUDWCLJ");
    }
}
