import TenonCore
import TenonKV
import TenonWire

extension Refusal {
    /// What a client is told of a read that the state machine does not answer.
    init(_ error: ReadError) {
        switch error {
        case .historyGone(let floor):
            self.init(.historyGone, "the history before version \(floor) is gone")
        case .ahead(let last):
            // The entry that was to bring it here was lost with its leader.
            self.init(
                .unavailable, "the tablet is at version \(last), not at the one asked for yet",
                retryAfterMilliseconds: 20)
        case .badToken: self.init(.invalid, "the page token is damaged or of another scan")
        case .outsideTablet:
            self.init(.staleDescriptor, "a key lies outside the tablet: ask for the directory")
        case .tooLarge(let bytes, let bound):
            self.init(.tooLarge, "the values have \(bytes) bytes, over \(bound): ask for fewer")
        }
    }

    /// What a client is told of a command that is not proposed.
    init(_ refusal: CommandRefusal) {
        switch refusal {
        case .malformed(.tooLong(let field, let count, let bound)):
            self.init(.tooLarge, "the \(field) has \(count), over the bound of \(bound)")
        case .malformed(let error): self.init(.invalid, "malformed command: \(error)")
        case .notForClients: self.init(.invalid, "clients do not send this command")
        case .noSession: self.init(.invalid, "the write names no session")
        case .sessionBelowMark: self.init(.invalid, "the session says this write is answered")
        case .outsideTablet:
            self.init(.staleDescriptor, "a key lies outside the tablet: ask for the directory")
        case .tooLarge(let bytes, let bound):
            self.init(.tooLarge, "the command has \(bytes) bytes, over the bound of \(bound)")
        }
    }
}

extension TenonWire.ScanRequest {
    /// The same page, as the state machine is asked for it.
    var forMachine: TenonKV.ScanRequest {
        TenonKV.ScanRequest(
            KeyInterval(lower: from, upper: to), isReversed: isReversed, limit: limit,
            version: at, pageToken: page)
    }
}
