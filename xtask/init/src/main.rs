//! The first process of the virtual machine: mounts what Linux tools expect, loads modules, runs the jobs it was given one after
//! the other, reports what they print and how they end, and switches the machine off.

#[cfg(not(target_os = "linux"))]
compile_error!("this program is the init of a Linux machine");

mod job;
mod order;
mod port;
mod setup;

use order::Order;
use port::{Frame, Port};

/// The path at which the host puts the orders.
const ORDERS: &str = "/vm/orders";

fn main() {
    let orders =
        match std::fs::read(ORDERS).map_err(|e| e.to_string()).and_then(|text| order::parse(&text))
        {
            Ok(orders) => orders,
            Err(why) => {
                // The report's port is not open yet: there is only the console.
                eprintln!("init: {ORDERS}: {why}");
                power_off();
            }
        };

    // The port may be a device that exists only once /dev is mounted.
    let mut notes = setup::mounts(&orders);
    notes.extend(setup::modules());
    notes.extend(setup::disk());
    let mut port = match Port::open(&orders) {
        Ok(port) => port,
        Err(why) => {
            eprintln!("init: no way to report: {why}");
            power_off();
        }
    };
    notes.extend(setup::network());
    for note in notes {
        port.frame(Frame::Note, note.as_bytes());
    }

    for order in &orders {
        if let Order::Job(job) = order {
            job::run(job, &mut port);
        }
    }
    port.frame(Frame::Goodbye, b"");
    port.leave();
    power_off();
}

/// Ends the machine by the kernel's own means; `-no-reboot` makes a restart end the emulator.
fn power_off() -> ! {
    use nix::sys::reboot::{RebootMode, reboot};
    let _ = reboot(RebootMode::RB_AUTOBOOT);
    let _ = reboot(RebootMode::RB_POWER_OFF);
    // An init that ends makes the kernel panic, which ends the machine too.
    std::process::exit(1);
}
