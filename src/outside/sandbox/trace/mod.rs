//! Records which paths a sandboxed program and all of its children use.
//!
//! The program gets one more filter of system calls. Before a call with a path, the kernel stops the caller and
//! notifies the warden (seccomp_unotify(2)). The warden reads the path from the caller's memory, and the call
//! continues. The paths are used only as information. No decision about what is allowed depends on them. So it does no
//! harm if a program changes a path after it was read. The results of calls are not recorded. The tree is read-only, so
//! a call succeeded if the tree contains the path.

mod calls;
mod listener;
mod watch;

pub(super) use self::listener::Listener;
pub(super) use self::watch::{Recorded, Watch};
