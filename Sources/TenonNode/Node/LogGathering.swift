import TenonCore
import TenonLog
import TenonRaft

/// Records on their way to the log thread, in the order in which they become durable.
struct LogGathering {
    /// A write ticket and how many of the records must be durable for it (Rule L4).
    struct Ticket {
        var tablet: TabletID
        var ticket: WriteTicket
        var recordCount: Int
    }

    private(set) var records: [LogRecord] = []
    private(set) var tickets: [Ticket] = []
    /// Bytes of the entries among the records.
    private(set) var entryBytes = 0

    var isEmpty: Bool { records.isEmpty && tickets.isEmpty }

    /// Whether something waits that makes room.
    var canMakeRoom: Bool {
        records.contains(where: \.makesRoom) || !placesOfHalves.isEmpty
    }

    /// The records of halves by their place, with the tablets that were split. Without its half
    /// such a tablet applies nothing, so it flushes and trims nothing either. They may overtake
    /// everything but what was said of the same replica before.
    private var placesOfHalves: [Int: Ticket] {
        var places: [Int: Ticket] = [:]
        for ticket in tickets where ticket.ticket == Node.halfTicket {
            let place = ticket.recordCount - 1
            let key = records[place].metadataKey
            if !records[..<place].contains(where: { $0.metadataKey == key }) {
                places[place] = ticket
            }
        }
        return places
    }

    /// Adds records; `done` are complete when they are durable.
    mutating func append(
        _ more: [LogRecord], completing done: [(tablet: TabletID, ticket: WriteTicket)] = []
    ) {
        records += more
        entryBytes += LogGathering.entryBytes(of: more)
        for (tablet, ticket) in done {
            tickets.append(Ticket(tablet: tablet, ticket: ticket, recordCount: records.count))
        }
    }

    /// Takes out the first records, about `bytesMax` of them, but one entry at least; their
    /// tickets come with them.
    ///
    /// What gathered while the log was busy or full may be more than the whole log ever admits:
    /// taken as one it would wait for room for ever.
    mutating func takeFirst(bytesMax: Int) -> LogGathering {
        var bytes = 0
        var count = 0
        while count < records.count {
            let sum = bytes + records[count].approximateBytes
            guard sum <= bytesMax else { break }
            bytes = sum
            count += 1
        }
        if count < records.count { count += splitEntries(at: count, bytesMax: bytesMax - bytes) }
        return takeFirst(recordCount: count == 0 ? 1 : count)
    }

    /// Makes two records of the entries at `place`, the first of at most `bytesMax`; of one entry
    /// at least when nothing stands before it.
    ///
    /// - Returns: how many records that gave to take: 1, or 0 when none of the entries fits.
    private mutating func splitEntries(at place: Int, bytesMax: Int) -> Int {
        guard case .entries(let tablet, let replica, let entries) = records[place] else { return 0 }
        var bytes = 0
        var count = 0
        while count < entries.count, bytes + entries[count].encodedBytes <= bytesMax {
            bytes += entries[count].encodedBytes
            count += 1
        }
        if place == 0 { count = max(1, count) }
        guard count > 0, count < entries.count else { return count > 0 ? 1 : 0 }
        records[place] = .entries(
            tablet: tablet, replica: replica, entries: Array(entries[..<count]))
        records.insert(
            .entries(tablet: tablet, replica: replica, entries: Array(entries[count...])),
            at: place + 1)
        for ticket in tickets.indices where tickets[ticket].recordCount > place {
            tickets[ticket].recordCount += 1
        }
        return 1
    }

    private mutating func takeFirst(recordCount count: Int) -> LogGathering {
        guard count < records.count else {
            defer { self = LogGathering() }
            return self
        }
        var taken = LogGathering()
        taken.records = Array(records[..<count])
        taken.tickets = Array(tickets.prefix { $0.recordCount <= count })
        taken.entryBytes = LogGathering.entryBytes(of: taken.records)
        entryBytes -= taken.entryBytes
        records.removeFirst(count)
        tickets.removeFirst(taken.tickets.count)
        for place in tickets.indices { tickets[place].recordCount -= count }
        return taken
    }

    /// Takes out the records that make room. They may overtake the others: a trim speaks of
    /// entries that are durable already (Rule L5), so none that waits is among them, and a reset
    /// voids the entries of its tablet that wait before it. The hard states of a tablet that is
    /// reset come with it: its log never starts after an entry of a term newer than its own. The
    /// record of a half speaks of a tablet of which nothing else waits.
    mutating func takeRoomMakers() -> LogGathering {
        let halves = placesOfHalves
        var lastResets: [TabletID: Int] = [:]
        for (place, record) in records.enumerated() {
            if case .reset(let tablet, _, _, _) = record { lastResets[tablet] = place }
        }
        var roomMakers = LogGathering()
        var kept: [LogRecord] = []
        // How many of the records before each place are kept.
        var keptBefore: [Int] = [0]
        for (place, record) in records.enumerated() {
            switch record {
            case .trim, .reset: roomMakers.append([record])
            case .hardState(let tablet, _, _) where lastResets[tablet] != nil:
                roomMakers.append([record])
            case .entries(let tablet, _, _), .repaired(let tablet, _, _):
                if place >= lastResets[tablet, default: 0] { kept.append(record) }
            case .hardState, .remove, .metadata:
                if let half = halves[place] {
                    roomMakers.append([record], completing: [(half.tablet, half.ticket)])
                } else {
                    kept.append(record)
                }
            }
            keptBefore.append(kept.count)
        }
        if !halves.isEmpty {
            reached(.halfOvertookEntries)
            tickets.removeAll {
                $0.ticket == Node.halfTicket && halves[$0.recordCount - 1] != nil
            }
        }
        for place in tickets.indices {
            tickets[place].recordCount = keptBefore[tickets[place].recordCount]
        }
        records = kept
        entryBytes = LogGathering.entryBytes(of: kept)
        return roomMakers
    }

    /// Puts what was refused before what came later.
    mutating func prepend(_ earlier: LogGathering) {
        for place in tickets.indices { tickets[place].recordCount += earlier.records.count }
        records.insert(contentsOf: earlier.records, at: 0)
        tickets.insert(contentsOf: earlier.tickets, at: 0)
        entryBytes += earlier.entryBytes
    }

    private static func entryBytes(of records: [LogRecord]) -> Int {
        var bytes = 0
        for record in records {
            switch record {
            case .entries(_, _, let entries), .repaired(_, _, let entries):
                bytes += entries.reduce(0) { $0 + $1.encodedBytes }
            case .hardState, .trim, .reset, .remove, .metadata: break
            }
        }
        return bytes
    }
}

extension LogRecord {
    fileprivate var metadataKey: UInt64? {
        guard case .metadata(let key, _) = self else { return nil }
        return key
    }

    fileprivate var makesRoom: Bool {
        switch self {
        case .trim, .reset: true
        case .entries, .repaired, .hardState, .remove, .metadata: false
        }
    }

    /// About what it takes in the log.
    fileprivate var approximateBytes: Int {
        switch self {
        case .entries(_, _, let entries), .repaired(_, _, let entries):
            entries.reduce(64) { $0 + $1.encodedBytes }
        case .metadata(_, let value): 64 + value.count
        case .hardState, .trim, .reset, .remove: 64
        }
    }
}
