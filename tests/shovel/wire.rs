//! A wire between a client and a broker that can be cut, and laid to another.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;

/// A wire that can be cut.
pub struct Wire {
    pub address: SocketAddr,
    ends: Arc<Mutex<Ends>>,
}

struct Ends {
    /// Where it leads; nowhere while it is cut.
    to: Option<SocketAddr>,
    open: Vec<TcpStream>,
}

impl Wire {
    pub fn to(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ends = Arc::new(Mutex::new(Ends {
            to: Some(to),
            open: Vec::new(),
        }));
        let own = Arc::clone(&ends);
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let mut ends = own.lock();
                let far = ends.to.and_then(|to| TcpStream::connect(to).ok());
                if let Some(far) = far {
                    carry(&near, &far);
                    carry(&far, &near);
                    ends.open.extend([near, far]);
                }
            }
        });
        Self { address, ends }
    }

    /// Cuts it: what was on its way is lost.
    pub fn cut(&self) {
        let mut ends = self.ends.lock();
        ends.to = None;
        for stream in ends.open.drain(..) {
            let _gone = stream.shutdown(Shutdown::Both);
        }
    }

    pub fn lay(&self, to: SocketAddr) {
        self.ends.lock().to = Some(to);
    }

    pub fn uri(&self) -> String {
        format!("amqp://guest:guest@{}/%2f", self.address)
    }
}

fn carry(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(len @ 1..) = from.read(&mut buffer) {
            if to.write_all(&buffer[..len]).is_err() {
                break;
            }
        }
        let _gone = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    });
}
