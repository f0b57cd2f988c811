use super::*;
use std::io::Write;

fn source(file: File, size: u64) -> Source {
    Source {
        file: Arc::new(file.into()),
        size,
        unsent: Bytes::new(),
        transfer: Transfer::new(true),
        buffers: Arc::default(),
        limiter: None,
    }
}

#[tokio::test]
async fn a_file_comes_whole_in_pieces_whatever_its_size() {
    for size in [1, PIECE, BUFFER, BUFFER + 1, 2 * BUFFER + PIECE / 3] {
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(size).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        io::Seek::rewind(&mut file).unwrap();
        let mut source = source(file, size as u64);
        let mut sent = Vec::new();
        while sent.len() < size {
            let piece = source.next_piece(sent.len() as u64).await.unwrap();
            assert!(!piece.is_empty() && piece.len() <= PIECE);
            sent.extend_from_slice(&piece);
        }
        assert!(sent == bytes, "{size}");
        let sha256 = hex(&Sha256::digest(&bytes));
        assert_eq!(source.transfer.sent_sha256(size as u64), Some(sha256));
        assert_eq!(source.transfer.sent_sha256(size as u64 + 1), None, "not all of it");
    }
}

/// Checks that each piece counts before the next one is asked for.
struct SlowServer<'a> {
    transfer: &'a Transfer,
    long_ago: Instant,
    pieces: u32,
}

impl Read for SlowServer<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let moved = std::mem::replace(&mut self.transfer.lock().moved, self.long_ago);
        assert!(moved > self.long_ago, "after {} pieces", self.pieces);
        self.pieces += 1;
        Ok(buffer.len())
    }
}

#[test]
fn a_slow_file_server_that_gives_something_is_no_stall() {
    let transfer = Transfer::new(false);
    let long_ago = transfer.lock().moved.checked_sub(Duration::from_secs(1)).unwrap();
    let mut server = SlowServer { transfer: &transfer, long_ago, pieces: 0 };
    fill(&mut vec![0; 4 * PIECE], &mut server, &transfer, READ_GRACE).unwrap();
    assert_eq!(server.pieces, 4);
    assert!(transfer.lock().moved > long_ago);
}

#[test]
fn a_file_that_is_read_too_slowly_gives_its_permit_back() {
    let size = 20 << 20;
    let (transfer, longest) = (Transfer::new(false), longest_read(size));
    assert_eq!(longest, Duration::from_secs(60 + 320));
    // each piece comes before the transfer is stalled
    let slow = Duration::from_secs(40);
    let pieces = (0..160).take_while(|_| transfer.read_in(slow, longest).is_ok()).count();
    assert_eq!(pieces, 9);
    let error = transfer.read_in(Duration::ZERO, longest).unwrap_err();
    assert!(error.to_string().contains("64 KiB a second"), "{error}");
    // a slow line to a file server is fast enough
    let transfer = Transfer::new(false);
    assert!((0..160).all(|_| transfer.read_in(Duration::from_secs(2), longest).is_ok()));
    assert!(!transfer.waited_long_for_file());
}

/// Several pieces are read before the first one is sent.
#[test]
fn who_gave_up_while_a_file_was_read_waited_for_the_file() {
    let transfer = Transfer::new(false);
    transfer.reads();
    let mut state = transfer.lock();
    state.in_file = state.in_file.and_then(|since| since.checked_sub(LONG_READ * 2));
    drop(state);
    transfer.read_in(LONG_READ / 2, READ_GRACE).unwrap();
    transfer.answered();
    assert!(transfer.waits_for_file() && transfer.waited_long_for_file());
    transfer.has_read();
    assert!(!transfer.waits_for_file() && transfer.waited_long_for_file());
}
