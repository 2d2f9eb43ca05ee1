import TenonCore
import TenonLog
import TenonRaft
import Testing

@testable import TenonNode

@Suite struct `Records on their way to the log` {
    private let tablet = TabletID(2)
    private let replica = ReplicaID(1)

    private func entries(_ indexes: ClosedRange<UInt64>, bytes: Int = 1_000) -> LogRecord {
        .entries(
            tablet: tablet, replica: replica,
            entries: indexes.map {
                Entry(
                    index: LogIndex($0), term: Term(1), kind: .commands,
                    payload: [UInt8](repeating: UInt8($0), count: bytes))
            })
    }

    private func trim(_ index: UInt64) -> LogRecord {
        .trim(tablet: tablet, replica: replica, through: LogIndex(index), term: Term(1))
    }

    private let hardState = LogRecord.hardState(
        tablet: TabletID(2), replica: ReplicaID(1), HardState(term: Term(1), vote: ReplicaID(1)))

    /// The indexes of all entries in `records`, in order.
    private func indexes(_ records: [LogRecord]) -> [UInt64] {
        records.flatMap { record -> [UInt64] in
            guard case .entries(_, _, let entries) = record else { return [] }
            return entries.map(\.index.rawValue)
        }
    }

    private func tickets(_ gathering: LogGathering) -> [UInt64] {
        gathering.tickets.map(\.ticket.rawValue)
    }

    @Test func `what fits is taken as one`() {
        var gathering = LogGathering()
        gathering.append([hardState, entries(1...3)], completing: [(tablet, WriteTicket(1))])
        gathering.append([entries(4...5)], completing: [(tablet, WriteTicket(2))])
        let taken = gathering.takeFirst(bytesMax: 1 << 20)
        #expect(indexes(taken.records) == [1, 2, 3, 4, 5])
        #expect(tickets(taken) == [1, 2])
        #expect(gathering.isEmpty)
    }

    @Test func `what is too much is taken piece by piece, a ticket with its last record`() throws {
        var gathering = LogGathering()
        gathering.append([hardState, entries(1...3)], completing: [(tablet, WriteTicket(1))])
        gathering.append([entries(4...9)], completing: [(tablet, WriteTicket(2))])
        gathering.append([entries(10...10)], completing: [(tablet, WriteTicket(3))])
        var found: [(indexes: [UInt64], tickets: [UInt64])] = []
        while !gathering.isEmpty {
            let taken = gathering.takeFirst(bytesMax: 2_500)
            #expect(!taken.records.isEmpty)
            found.append((indexes(taken.records), tickets(taken)))
        }
        #expect(found.flatMap(\.indexes) == Array(1...10))
        #expect(found.allSatisfy { $0.indexes.count <= 2 })
        for (ticket, last) in [(UInt64(1), UInt64(3)), (2, 9), (3, 10)] {
            let piece = try #require(found.firstIndex { $0.tickets.contains(ticket) })
            let durable = found[...piece].flatMap(\.indexes)
            #expect(durable.contains(last), "ticket \(ticket)")
        }
        #expect(found.flatMap(\.tickets) == [1, 2, 3])
    }

    @Test func `an entry over the bound is taken alone`() {
        var gathering = LogGathering()
        gathering.append([entries(1...2, bytes: 9_000)], completing: [(tablet, WriteTicket(1))])
        #expect(indexes(gathering.takeFirst(bytesMax: 100).records) == [1])
        let second = gathering.takeFirst(bytesMax: 100)
        #expect(indexes(second.records) == [2] && tickets(second) == [1])
        #expect(gathering.isEmpty)
    }

    @Test func `a ticket without records of its own is not lost`() {
        var gathering = LogGathering()
        gathering.append([], completing: [(tablet, WriteTicket(1))])
        #expect(tickets(gathering.takeFirst(bytesMax: 0)) == [1])
        #expect(gathering.isEmpty)
    }

    @Test func `trims overtake, and what was refused goes first again`() {
        var gathering = LogGathering()
        gathering.append([entries(1...2)], completing: [(tablet, WriteTicket(1))])
        gathering.append([trim(1), entries(3...3)], completing: [(tablet, WriteTicket(2))])
        #expect(gathering.takeRoomMakers().records == [trim(1)])
        #expect(!gathering.canMakeRoom)
        let refused = gathering.takeFirst(bytesMax: 2_500)
        #expect(indexes(refused.records) == [1, 2] && tickets(refused) == [1])
        gathering.append([entries(4...4)], completing: [(tablet, WriteTicket(3))])
        gathering.prepend(refused)
        let all = gathering.takeFirst(bytesMax: 1 << 20)
        #expect(indexes(all.records) == [1, 2, 3, 4])
        #expect(all.tickets.map(\.recordCount) == [1, 2, 3])
    }

    @Test func `the record of a half overtakes entries, and not what was said of it before`() {
        let record = LogRecord.metadata(key: 7, value: [1])
        let early = LogRecord.metadata(key: 8, value: [1])
        let late = LogRecord.metadata(key: 8, value: [2])
        var gathering = LogGathering()
        gathering.append([entries(1...2)], completing: [(tablet, WriteTicket(1))])
        gathering.append([early])
        gathering.append([record], completing: [(tablet, Node.halfTicket)])
        gathering.append([late], completing: [(TabletID(9), Node.halfTicket)])
        gathering.append([entries(3...3)], completing: [(tablet, WriteTicket(2))])
        #expect(gathering.canMakeRoom)
        let first = gathering.takeRoomMakers()
        #expect(first.records == [record])
        #expect(tickets(first) == [Node.halfTicket.rawValue] && first.entryBytes == 0)
        #expect(!gathering.canMakeRoom)
        #expect(gathering.records == [entries(1...2), early, late, entries(3...3)])
        #expect(tickets(gathering) == [1, Node.halfTicket.rawValue, 2])
        #expect(gathering.tickets.map(\.recordCount) == [1, 3, 4])
        gathering.prepend(first)
        #expect(gathering.canMakeRoom && tickets(gathering).first == Node.halfTicket.rawValue)
    }

    @Test func `a reset overtakes with its hard states, and voids what it replaces`() {
        let other = TabletID(3)
        let reset = LogRecord.reset(
            tablet: tablet, replica: replica, at: LogIndex(9), term: Term(1))
        let others = LogRecord.hardState(
            tablet: other, replica: replica, HardState(term: Term(1)))
        var gathering = LogGathering()
        gathering.append([hardState, entries(1...2)], completing: [(tablet, WriteTicket(1))])
        gathering.append([others], completing: [(other, WriteTicket(7))])
        gathering.append([reset, hardState], completing: [(tablet, WriteTicket(2))])
        gathering.append([entries(10...10)], completing: [(tablet, WriteTicket(3))])
        #expect(gathering.canMakeRoom)
        let first = gathering.takeRoomMakers()
        #expect(first.records == [hardState, reset, hardState] && first.tickets.isEmpty)
        #expect(!gathering.canMakeRoom && gathering.entryBytes > 1_000)
        #expect(gathering.entryBytes < 2_000)
        #expect(gathering.records == [others, entries(10...10)])
        #expect(gathering.tickets.map(\.recordCount) == [0, 1, 1, 2])
    }
}
