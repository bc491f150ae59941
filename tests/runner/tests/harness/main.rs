// SPDX-License-Identifier: GPL-2.0

//! What `scripts/harness` says on other people's machines, before it builds anything, and what `make
//! modules_install` installs. Takes seconds: what is looked at are folders that were made for it.

mod arch;
mod environment;
mod install;
mod kdir;
mod machine;
mod own;
mod packages;
mod source;
