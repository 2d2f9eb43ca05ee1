package import TenonCore

/// A message on the wire, little-endian:
///
///     format version 1 (= 1) · kind 1 · tablet 8 · from 8 · to 8 · epoch 8 · term 8 · body
///
///     kind  body
///       1   pre-vote request: last position 16 (index 8 · term 8)
///       2   pre-vote answer: granted 1
///       3   vote request: last position 16 · transfer 1
///       4   vote answer: granted 1
///       5   append: previous 16 · commit 8 · count 4 · entries (as `Entry.encode`) …
///       6   append accepted: match 8
///       7   append rejected: previous 8 · hint 16
///       8   heartbeat: round 8 · sent at 8 · wall time 8 · commit 8 · sent through 8
///           · flags 1 (bit 0 promise wanted, bit 1 to a witness)
///           · closed (flag 1 · life 8 · asked at 8 · index 8 · age 8)
///           · to a witness, unless 0: held elsewhere through 8
///       9   heartbeat answer: round 8 · sent at 8 · sent through 8 · wall time 8 · received 8
///           · durable 8 · applied 8 · log full 1 · promised 1
///           · question (life 8 · asked at 8)
///      10   timeout now
///      11   read request: batch 8
///      12   read answer: batch 8 · known 1 · index 8 (0 when not known)
///      13   newer term
///      30   lost entries: after 8
///
/// There is one encoding of each message: what decodes encodes to the same bytes.
extension RaftMessage {
    private static let formatVersion: UInt8 = 1
    /// Bytes before the body.
    package static let headerBytes = 42

    /// A close upper bound of the encoded length, to make room once.
    package var encodedBytesEstimate: Int {
        guard case .append(let append) = body else { return RaftMessage.headerBytes + 80 }
        return append.entries.reduce(RaftMessage.headerBytes + 28) { $0 + $1.encodedBytes }
    }

    package func encode(to writer: inout ByteWriter) {
        writer.uint8(RaftMessage.formatVersion)
        writer.uint8(body.kind.rawValue)
        writer.identifier(tablet)
        writer.identifier(from)
        writer.identifier(to)
        writer.identifier(epoch)
        writer.identifier(term)
        body.encode(to: &writer)
    }

    /// The encoded message in a buffer of its own.
    package func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: encodedBytesEstimate)
        encode(to: &writer)
        return writer.take()
    }

    /// Reads one message; what follows it is the caller's.
    /// - Throws: `DecodingError`; the message is to be dropped whole.
    package init(from reader: inout ByteReader) throws(DecodingError) {
        let version = try reader.uint8()
        guard version == RaftMessage.formatVersion else {
            throw .unknownKind(field: "raft message version", value: UInt64(version))
        }
        let kindByte = try reader.uint8()
        guard let kind = Kind(rawValue: kindByte) else {
            throw .unknownKind(field: "raft message", value: UInt64(kindByte))
        }
        tablet = try reader.identifier(TabletID.self)
        from = try reader.identifier(ReplicaID.self)
        to = try reader.identifier(ReplicaID.self)
        epoch = try reader.identifier(Epoch.self)
        term = try reader.identifier(Term.self)
        body = try Body(kind, from: &reader)
        guard max(term.rawValue, body.greatestNumber) < RaftMessage.numberBound else {
            throw .malformed("an index or term out of range")
        }
    }

    /// Indexes and terms lie below it, so that counting on from one never overflows.
    private static let numberBound: UInt64 = 1 << 62
}

/// Numbers of bodies on the wire. A number is never used for another meaning.
private enum Kind: UInt8 {
    case preVoteRequest = 1
    case preVoteAnswer = 2
    case voteRequest = 3
    case voteAnswer = 4
    case append = 5
    case appendAccepted = 6
    case appendRejected = 7
    case heartbeat = 8
    case heartbeatAnswer = 9
    case timeoutNow = 10
    case readRequest = 11
    case readAnswer = 12
    case newerTerm = 13
    case lostEntries = 30
}

extension RaftMessage.Body {
    fileprivate var kind: Kind {
        switch self {
        case .preVoteRequest: .preVoteRequest
        case .preVoteAnswer: .preVoteAnswer
        case .voteRequest: .voteRequest
        case .voteAnswer: .voteAnswer
        case .append: .append
        case .appendAccepted: .appendAccepted
        case .appendRejected: .appendRejected
        case .heartbeat: .heartbeat
        case .heartbeatAnswer: .heartbeatAnswer
        case .timeoutNow: .timeoutNow
        case .readRequest: .readRequest
        case .readAnswer: .readAnswer
        case .newerTerm: .newerTerm
        case .lostEntries: .lostEntries
        }
    }

    fileprivate func encode(to writer: inout ByteWriter) {
        switch self {
        case .preVoteRequest(let last):
            last.encode(to: &writer)
        case .voteRequest(let last, let isTransfer):
            last.encode(to: &writer)
            writer.flag(isTransfer)
        case .preVoteAnswer(let granted), .voteAnswer(let granted):
            writer.flag(granted)
        case .append(let append):
            append.encode(to: &writer)
        case .appendAccepted(let match):
            writer.identifier(match)
        case .appendRejected(let previous, let hint):
            writer.identifier(previous)
            hint.encode(to: &writer)
        case .heartbeat(let heartbeat):
            heartbeat.encode(to: &writer)
        case .heartbeatAnswer(let answer):
            answer.encode(to: &writer)
        case .readRequest(let batch):
            writer.uint64(batch)
        case .readAnswer(let batch, let index):
            writer.uint64(batch)
            writer.flag(index != nil)
            writer.identifier(index ?? .zero)
        case .lostEntries(let index):
            writer.identifier(index)
        case .timeoutNow, .newerTerm:
            break
        }
    }

    fileprivate init(_ kind: Kind, from reader: inout ByteReader) throws(DecodingError) {
        switch kind {
        case .preVoteRequest:
            self = .preVoteRequest(last: try LogPosition(from: &reader))
        case .preVoteAnswer:
            self = .preVoteAnswer(granted: try reader.flag("granted"))
        case .voteRequest:
            let last = try LogPosition(from: &reader)
            self = .voteRequest(last: last, isTransfer: try reader.flag("transfer"))
        case .voteAnswer:
            self = .voteAnswer(granted: try reader.flag("granted"))
        case .append:
            self = .append(try RaftMessage.Append(from: &reader))
        case .appendAccepted:
            self = .appendAccepted(match: try reader.identifier(LogIndex.self))
        case .appendRejected:
            let previous = try reader.identifier(LogIndex.self)
            self = .appendRejected(previous: previous, hint: try LogPosition(from: &reader))
        case .heartbeat:
            self = .heartbeat(try RaftMessage.Heartbeat(from: &reader))
        case .heartbeatAnswer:
            self = .heartbeatAnswer(try RaftMessage.HeartbeatAnswer(from: &reader))
        case .timeoutNow:
            self = .timeoutNow
        case .readRequest:
            self = .readRequest(batch: try reader.uint64())
        case .readAnswer:
            self = try RaftMessage.Body.readAnswer(from: &reader)
        case .newerTerm:
            self = .newerTerm
        case .lostEntries:
            self = .lostEntries(after: try reader.identifier(LogIndex.self))
        }
    }

    /// The greatest index or term that the receiver might count on from.
    fileprivate var greatestNumber: UInt64 {
        switch self {
        case .preVoteRequest(let last), .voteRequest(let last, _):
            last.greatestNumber
        case .append(let append):
            append.entries.reduce(max(append.previous.greatestNumber, append.commit.rawValue)) {
                max($0, $1.position.greatestNumber)
            }
        case .appendAccepted(let match), .lostEntries(let match):
            match.rawValue
        case .appendRejected(let previous, let hint):
            max(previous.rawValue, hint.greatestNumber)
        case .heartbeat(let heartbeat):
            max(
                heartbeat.commit, heartbeat.sentThrough, heartbeat.closed?.index ?? .zero,
                heartbeat.heldElsewhere
            ).rawValue
        case .heartbeatAnswer(let answer):
            max(answer.sentThrough, answer.received, answer.durable, answer.applied).rawValue
        case .readAnswer(_, let index):
            index?.rawValue ?? 0
        case .preVoteAnswer, .voteAnswer, .timeoutNow, .readRequest, .newerTerm:
            0
        }
    }

    private static func readAnswer(
        from reader: inout ByteReader
    ) throws(DecodingError) -> RaftMessage.Body {
        let batch = try reader.uint64()
        let isKnown = try reader.flag("known")
        let index = try reader.identifier(LogIndex.self)
        guard isKnown || index == .zero else { throw .malformed("an index that is not known") }
        return .readAnswer(batch: batch, index: isKnown ? index : nil)
    }
}

extension LogPosition {
    fileprivate var greatestNumber: UInt64 { max(index.rawValue, term.rawValue) }
}

extension RaftMessage.Append {
    fileprivate func encode(to writer: inout ByteWriter) {
        previous.encode(to: &writer)
        writer.identifier(commit)
        writer.uint32(UInt32(entries.count))
        for entry in entries { entry.encode(to: &writer) }
    }

    fileprivate init(from reader: inout ByteReader) throws(DecodingError) {
        previous = try LogPosition(from: &reader)
        commit = try reader.identifier(LogIndex.self)
        let count = try reader.count("entries", itemBytes: Entry.headerBytes)
        entries = []
        entries.reserveCapacity(count)
        for _ in 0..<count { entries.append(try Entry(from: &reader)) }
    }
}

extension RaftMessage.Heartbeat {
    fileprivate func encode(to writer: inout ByteWriter) {
        writer.uint64(round)
        writer.uint64(sentAt.nanoseconds)
        writer.uint64(wallTime.milliseconds)
        writer.identifier(commit)
        writer.identifier(sentThrough)
        let isForWitness = heldElsewhere != .zero
        writer.uint8((wantsPromise ? 1 : 0) | (isForWitness ? 2 : 0))
        writer.flag(closed != nil)
        closed?.encode(to: &writer)
        if isForWitness { writer.identifier(heldElsewhere) }
    }

    fileprivate init(from reader: inout ByteReader) throws(DecodingError) {
        round = try reader.uint64()
        sentAt = Instant(nanoseconds: try reader.uint64())
        wallTime = WallTime(milliseconds: try reader.uint64())
        commit = try reader.identifier(LogIndex.self)
        sentThrough = try reader.identifier(LogIndex.self)
        let flags = try reader.uint8()
        guard flags <= 3 else {
            throw .unknownKind(field: "heartbeat flags", value: UInt64(flags))
        }
        wantsPromise = flags & 1 != 0
        closed = try reader.flag("closed") ? ClosedAnswer(from: &reader) : nil
        heldElsewhere = flags & 2 != 0 ? try reader.identifier(LogIndex.self) : .zero
        guard flags & 2 == 0 || heldElsewhere != .zero else {
            throw .malformed("nothing held elsewhere, told")
        }
    }
}

extension RaftMessage.HeartbeatAnswer {
    fileprivate func encode(to writer: inout ByteWriter) {
        writer.uint64(round)
        writer.uint64(sentAt.nanoseconds)
        writer.identifier(sentThrough)
        writer.uint64(wallTime.milliseconds)
        writer.identifier(received)
        writer.identifier(durable)
        writer.identifier(applied)
        writer.flag(isLogFull)
        writer.flag(isPromised)
        question.encode(to: &writer)
    }

    fileprivate init(from reader: inout ByteReader) throws(DecodingError) {
        round = try reader.uint64()
        sentAt = Instant(nanoseconds: try reader.uint64())
        sentThrough = try reader.identifier(LogIndex.self)
        wallTime = WallTime(milliseconds: try reader.uint64())
        received = try reader.identifier(LogIndex.self)
        durable = try reader.identifier(LogIndex.self)
        applied = try reader.identifier(LogIndex.self)
        isLogFull = try reader.flag("log full")
        isPromised = try reader.flag("promised")
        question = try ClosedQuestion(from: &reader)
    }
}

extension ClosedQuestion {
    fileprivate func encode(to writer: inout ByteWriter) {
        writer.uint64(life)
        writer.uint64(askedAt.nanoseconds)
    }

    fileprivate init(from reader: inout ByteReader) throws(DecodingError) {
        life = try reader.uint64()
        askedAt = Instant(nanoseconds: try reader.uint64())
    }
}

extension ClosedAnswer {
    fileprivate func encode(to writer: inout ByteWriter) {
        question.encode(to: &writer)
        writer.identifier(index)
        writer.uint64(age.nanoseconds)
    }

    fileprivate init(from reader: inout ByteReader) throws(DecodingError) {
        question = try ClosedQuestion(from: &reader)
        index = try reader.identifier(LogIndex.self)
        age = TimeSpan(nanoseconds: try reader.uint64())
    }
}
