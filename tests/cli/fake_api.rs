//! An HTTP server that says what a test has it say.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

/// Answers requests one after the other, and keeps them.
pub struct FakeApi {
    pub url: String,
    serving: JoinHandle<Vec<Request>>,
}

/// What was asked.
pub struct Request {
    /// `GET /api/queues HTTP/1.1`.
    pub line: String,
    pub headers: Vec<String>,
    pub body: String,
}

impl FakeApi {
    /// Answers as many requests as there are answers: status line and body.
    pub fn answering(answers: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers: Vec<String> = answers
            .iter()
            .map(|(status, body)| {
                let length = body.len();
                format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                )
            })
            .collect();
        let serving = thread::spawn(move || {
            let serve = |answer: &String| {
                let (socket, _) = listener.accept().unwrap();
                serve(socket, answer)
            };
            answers.iter().map(serve).collect()
        });
        Self { url, serving }
    }

    /// What was asked, once all answers are given.
    pub fn requests(self) -> Vec<Request> {
        self.serving.join().unwrap()
    }
}

fn serve(mut socket: TcpStream, answer: &str) -> Request {
    let mut reader = BufReader::new(socket.try_clone().unwrap());
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let lengths = lines
        .iter()
        .filter_map(|line| line.strip_prefix("content-length: "));
    let length = lengths.map(|length| length.parse().unwrap()).next();
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    socket.write_all(answer.as_bytes()).unwrap();
    Request {
        line: lines.remove(0),
        headers: lines,
        body: String::from_utf8(body).unwrap(),
    }
}
