//! The same rules once more, as simply as possible: no row is kept up to date, everything is sought in a list.

use crate::domain::upload::State;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) file: u8,
    pub(super) state: State,
    pub(super) slot: Option<u32>,
    content: u8,
    wanted: Option<u32>,
    sent: bool,
    object: u8,
    waits: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Naive {
    pub(super) rows: Vec<Row>,
    pub(super) reserved: Vec<u32>,
    pub(super) total: u32,
}

impl Row {
    fn stands(&self) -> bool {
        let active = self.state.is_pending() || self.state == State::Uploaded;
        self.waits || (active && self.slot.is_some())
    }

    fn queue(&mut self, slot: u32) {
        (self.state, self.slot, self.waits) = (State::Queued, Some(slot), false);
    }

    fn reject(&mut self, waits: bool) {
        (self.state, self.waits) = (State::Rejected, waits);
        self.slot = self.slot.filter(|_| self.sent);
    }
}

impl Naive {
    pub(super) fn row(&mut self, file: u8) -> Option<&mut Row> {
        self.rows.iter_mut().find(|row| row.file == file)
    }

    fn free(&self, wanted: Option<u32>) -> Option<u32> {
        let free =
            |slot: &u32| !self.reserved.contains(slot) && self.rows.iter().all(|row| row.slot != Some(*slot));
        (1..=self.total).find(|slot| free(slot) && wanted.is_none_or(|wanted| wanted == *slot))
    }

    pub(super) fn settle(&mut self) {
        while let Some((at, slot)) = (0..self.rows.len())
            .filter(|at| self.rows[*at].waits)
            .find_map(|at| Some((at, self.free(self.rows[at].wanted)?)))
        {
            self.rows[at].queue(slot);
        }
    }

    pub(super) fn found(&mut self, file: u8, content: u8, wanted: Option<u32>) {
        if self.row(file).is_none() {
            let (state, slot) = (State::Gone, None);
            let row = Row { file, state, slot, content: 0, wanted, sent: false, object: 0, waits: false };
            self.rows.push(row);
        }
        let copy = self.rows.iter().any(|row| row.file != file && row.content == content && row.stands());
        let slot = self.row(file).and_then(|row| row.slot).or_else(|| self.free(wanted));
        let Some(row) = self.row(file) else { return };
        let held = matches!(row.state, State::Queued | State::Retrying | State::Uploaded | State::Failed);
        match content {
            _ if row.state == State::Uploading => return,
            0 => {
                (row.content, row.wanted) = (0, None);
                row.reject(false);
            }
            content if held && row.content == content => return,
            content if row.state == State::Rejected && row.slot.is_some() && row.object == content => {
                (row.state, row.content, row.wanted, row.waits) = (State::Uploaded, content, wanted, false);
            }
            content => {
                (row.content, row.wanted) = (content, wanted);
                match slot {
                    _ if copy => row.reject(false),
                    Some(slot) => row.queue(slot),
                    None => row.reject(true),
                }
            }
        }
        self.settle();
    }

    pub(super) fn vanished(&mut self, file: u8) {
        if let Some(row) = self.row(file)
            && !matches!(row.state, State::Uploading | State::Uploaded | State::Gone)
        {
            let stored = row.slot.is_some() && row.content > 0 && row.object == row.content;
            row.reject(false);
            row.state = if stored { State::Uploaded } else { State::Gone };
        }
        self.settle();
    }

    pub(super) fn ended(&mut self, file: u8, state: State, sent: bool) {
        let Some(row) = self.row(file) else { return };
        row.state = state;
        if sent {
            (row.sent, row.object) = (true, if state == State::Uploaded { row.content } else { 0 });
        }
        if state == State::Failed {
            row.slot = row.slot.filter(|_| row.sent);
        }
        self.settle();
    }

    pub(super) fn retried(&mut self, file: u8) {
        let wanted = self.row(file).and_then(|row| row.wanted);
        let slot = self.row(file).and_then(|row| row.slot).or_else(|| self.free(wanted));
        if let Some(row) = self.row(file)
            && !matches!(row.state, State::Rejected)
        {
            row.reject(true);
            if let Some(slot) = slot {
                row.queue(slot);
            }
        }
        self.settle();
    }

    pub(super) fn released(&mut self, slot: u32) {
        self.reserved.retain(|reserved| *reserved != slot);
        if let Some(row) = self.rows.iter_mut().find(|row| row.slot == Some(slot)) {
            (row.slot, row.sent, row.object) = (None, false, 0);
        }
        self.settle();
    }

    pub(super) fn reserve(&mut self, slot: u32) {
        self.reserved.retain(|reserved| *reserved != slot);
        self.reserved.push(slot);
        let Some(at) = self.rows.iter().position(|row| row.slot == Some(slot)) else { return };
        let free = self.free(self.rows[at].wanted);
        let row = &mut self.rows[at];
        (row.slot, row.sent, row.object) = (free, false, 0);
        if free.is_none() {
            row.reject(true);
        }
    }
}
