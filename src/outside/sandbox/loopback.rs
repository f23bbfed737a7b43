//! The loopback interface of a sandbox, which a new network namespace has switched off (network_namespaces(7)).
//!
//! Only a process with one thread may enter a user namespace, so that lath starts itself anew for it: hakoniwa calls a
//! program that is to set up the network before it starts the job, as it would call pasta(1).

use std::ffi::OsString;
use std::io;

use fs_err as fs;
use hakoniwa::Pasta;
use rustix::fd::AsFd as _;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// What lath is called with here, before the number of a process in the sandbox.
const WORD: &str = "--switch-on-loopback-of";

/// How hakoniwa starts [`serve`].
pub(super) fn helper() -> Pasta {
    let mut helper = Pasta::default();
    helper.program("/proc/self/exe").args([WORD]);
    helper
}

/// Switches it on, if that is what `arguments` ask for. Whatever fails leaves it off, as programs will tell.
pub(crate) fn serve(arguments: &[OsString]) -> bool {
    let [.., word, process] = arguments else { return false };
    if word != WORD {
        return false;
    }
    let _ = switch_on(&process.to_string_lossy());
    true
}

fn switch_on(process: &str) -> io::Result<()> {
    let user = fs::File::open(format!("/proc/{process}/ns/user"))?;
    let network = fs::File::open(format!("/proc/{process}/ns/net"))?;
    move_into_link_name_space(user.as_fd(), Some(LinkNameSpaceType::User))?;
    move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
    // NETLINK_ROUTE is 0, which no protocol stands for.
    let socket = rustix::net::socket(AddressFamily::NETLINK, SocketType::RAW, None)?;
    rustix::net::send(&socket, &request(), SendFlags::empty())?;
    rustix::net::recv(&socket, &mut [0u8; 128], RecvFlags::empty())?;
    Ok(())
}

/// Sets the flag `IFF_UP` of the first interface (netlink(7), rtnetlink(7)): a header of 16 bytes, and as many of `ifinfomsg`.
fn request() -> Vec<u8> {
    const RTM_NEWLINK: u16 = 16;
    const NLM_F_REQUEST_AND_ACK: u16 = 1 | 4;
    const IFF_UP: u32 = 1;
    let mut bytes = Vec::new();
    bytes.extend(32u32.to_ne_bytes());
    bytes.extend(RTM_NEWLINK.to_ne_bytes());
    bytes.extend(NLM_F_REQUEST_AND_ACK.to_ne_bytes());
    // A number of ours, and the kernel as the other end.
    bytes.extend([1u32, 0].map(u32::to_ne_bytes).as_flattened());
    // Family and type are any; the loopback interface is the first of its namespace.
    bytes.extend([0u32, 1, IFF_UP, IFF_UP].map(u32::to_ne_bytes).as_flattened());
    bytes
}
