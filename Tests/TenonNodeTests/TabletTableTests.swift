import TenonCore
import TenonSimulator
import Testing

@testable import TenonNode

/// Which tablets a turn looks at.
@Suite struct `The tablets of a node` {
    /// The tablets of a node that has formed a cluster and is not driven any more.
    private func tablets(_ count: Int) throws -> [Tablet] {
        var options = ClusterOptions(seed: 1)
        options.tabletCount = count
        let cluster = SimulatedCluster(options)
        #expect(cluster.form())
        let all = try #require(cluster.host(1).node?.tablets.all)
        let tablets = all.filter { $0.id != .directory }
        for tablet in tablets { tablet.agenda = TabletAgenda() }
        return tablets
    }

    private func ids(_ tablets: [Tablet]) -> [UInt64] { tablets.map(\.id.rawValue) }

    @Test func `stand in the order of their numbers, however they came`() throws {
        let all = try tablets(4)
        var table = TabletTable()
        for place in [2, 0, 3, 1] { table.insert(all[place]) }
        #expect(ids(table.all) == [2, 3, 4, 5])
        table.remove(TabletID(3))
        #expect(ids(table.all) == [2, 4, 5])
        #expect(table.peek(TabletID(3)) == nil)
        let missing = table.remove(TabletID(3))
        #expect(missing == nil)
    }

    @Test func `are looked at when they are new, when they are looked up, and then no more`() throws
    {
        let all = try tablets(4)
        var table = TabletTable()
        for tablet in all { table.insert(tablet) }
        #expect(ids(table.takeTouched(now: .zero)) == [2, 3, 4, 5])
        #expect(ids(table.takeTouched(now: .zero)) == [])
        #expect(table.peek(TabletID(3)) != nil)
        #expect(ids(table.takeTouched(now: .zero)) == [])
        for id in [4, 3, 4] { #expect(table[TabletID(UInt64(id))] != nil) }
        #expect(ids(table.takeTouched(now: .zero)) == [4, 3])
    }

    @Test func `come back at their next deadline, the earliest first`() throws {
        let all = try tablets(4)
        var table = TabletTable()
        for tablet in all { table.insert(tablet) }
        _ = table.takeTouched(now: .zero)
        for tablet in all { table.schedule(tablet) }
        let deadlines = all.map(\.nextDeadline)
        let first = try #require(deadlines.min())
        #expect(table.nextDeadline == first)
        #expect(table.takeTouched(now: Instant(nanoseconds: first.nanoseconds - 1)).isEmpty)
        let due = table.takeTouched(now: first)
        #expect(due.allSatisfy { $0.nextDeadline == first } && !due.isEmpty)
        let last = try #require(deadlines.max())
        let rest = table.takeTouched(now: last)
        #expect(rest.count + due.count == 4)
        #expect(rest.map(\.nextDeadline) == rest.map(\.nextDeadline).sorted())
        #expect(table.nextDeadline == nil)
    }

    @Test func `are forgotten when they go, touched or with a moment to come`() throws {
        let all = try tablets(4)
        var table = TabletTable()
        for tablet in all { table.insert(tablet) }
        for tablet in all { table.schedule(tablet) }
        for tablet in all.prefix(3) { table.remove(tablet.id) }
        #expect(ids(table.takeTouched(now: .distantFuture)) == [5])
        #expect(table.nextDeadline == nil)
    }

    @Test func `keep the earliest of the moments they were set to`() throws {
        let all = try tablets(8)
        var timers = TabletTimers()
        let moments: [UInt64] = [70, 10, 80, 30, 60, 20, 50, 40]
        for (tablet, moment) in zip(all, moments) {
            timers.require(tablet, by: Instant(nanoseconds: moment))
            timers.require(tablet, by: Instant(nanoseconds: moment + 500))
        }
        timers.require(all[2], by: Instant(nanoseconds: 5))
        timers.remove(all[1])
        timers.remove(all[1])
        var order: [UInt64] = []
        while let tablet = timers.takeDue(now: Instant(nanoseconds: 60)) {
            order.append(tablet.id.rawValue)
        }
        #expect(order == [4, 7, 5, 9, 8, 6])
        #expect(timers.first == Instant(nanoseconds: 70))
    }
}
