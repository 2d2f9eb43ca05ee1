import TenonCore
import TenonSimulator
import TenonWire
import Testing

/// What the workloads ask of a tablet, and that they see through a wrong one.
@Suite struct WorkloadTests {
    private typealias Fault = FakeTablet.Fault

    /// Runs a workload against a fake tablet: clients take turns, answers come late or never.
    private func failures(
        of name: String, _ fault: Fault, calls: Int, seed: UInt64
    ) -> [CheckFailure] {
        let id = TabletID(2)
        let parameters = WorkloadParameters(seed: seed, tablets: [(id: id, lower: Bytes())])
        guard let workload = WorkloadCatalogue.make(name, parameters) else {
            Issue.record("no workload \(name)")
            return []
        }
        var driver = Driver(workload, FakeTablet(id, fault, seed: seed), seed: seed)
        driver.run(calls: calls)
        return workload.failures()
    }

    @Test(arguments: WorkloadCatalogue.names)
    func `a right tablet passes`(name: String) {
        for seed in UInt64(1)...4 {
            #expect(failures(of: name, .none, calls: 500, seed: seed) == [], "seed \(seed)")
        }
    }

    @Test(
        arguments: [
            ("registers", Fault.lostWrite, Check.replay),
            ("registers", .lostWrite, .linearizability),
            ("registers", .staleRead, .replay),
            ("registers", .staleRead, .linearizability),
            ("registers", .lateDuplicate, .replay),
            ("registers", .ignoredCondition, .replay),
            ("registers", .ignoredCondition, .linearizability),
            ("counters", .lostWrite, .exactlyOnce),
            ("counters", .staleRead, .replay),
            ("counters", .ignoredCondition, .linearizability),
            ("scans", .shortScan, .replay),
            ("scans", .shortScan, .linearizability),
            ("scans", .lostWrite, .replay),
            ("scans", .lateDuplicate, .replay),
            ("transactions", .tornTransaction, .replay),
            ("transactions", .tornTransaction, .linearizability),
            ("transactions", .ignoredCondition, .replay),
            ("bank", .tornTransaction, .bankTotal),
            ("bank", .lostWrite, .bankTotal),
            ("bank", .ignoredCondition, .replay),
            ("sessions", .forgottenSession, .exactlyOnce),
            ("sessions", .lateDuplicate, .replay),
            ("sessions", .lateDuplicate, .linearizability),
            ("stale", .staleRead, .replay),
            ("stale", .lostWrite, .replay),
            ("stale", .ageUnderstated, .staleness),
        ])
    private func `a wrong tablet is seen through`(name: String, fault: Fault, check: Check) {
        let isSeen = (UInt64(1)...10).contains { seed in
            failures(of: name, fault, calls: 400, seed: seed).contains { $0.check == check }
        }
        #expect(isSeen)
    }

    @Test func `names are unique`() {
        #expect(Set(WorkloadCatalogue.names).count == WorkloadCatalogue.names.count)
        let parameters = WorkloadParameters(seed: 1, tablets: [(id: TabletID(2), lower: Bytes())])
        #expect(WorkloadCatalogue.make("no such", parameters) == nil)
    }

    @Test func `rooms lie in their tablets`() {
        let tablets = [
            (id: TabletID(2), lower: Bytes()), (id: TabletID(3), lower: Bytes("H\u{7F}")),
        ]
        let parameters = WorkloadParameters(seed: 1, tablets: tablets)
        for room in KeyRoom.rooms(of: "bank", in: parameters) {
            for key in [room.prefix, room.key(0), room.key(99), room.end] {
                #expect(parameters.tablet(holding: key) == room.tablet)
            }
            #expect(room.key(99) < room.end)
        }
    }
}

/// Asks a workload's clients in turn and lets a fake tablet answer.
private struct Driver {
    private let workload: any Workload
    /// Its nodes are never started; the client is there for its session only.
    private let cluster: SimulatedCluster
    private let client: SimulatedClient
    private var tablet: FakeTablet
    private var generator: SeededGenerator
    private var now = Instant(nanoseconds: 1_000_000_000)
    /// By client: the call under way and, when the tablet has run it, its answer.
    private var calls: [UnderWay?]

    private struct UnderWay {
        var call: WorkloadCall
        var sentAt: Instant
        var result: CallResult?
    }

    init(_ workload: any Workload, _ tablet: FakeTablet, seed: UInt64) {
        self.workload = workload
        self.tablet = tablet
        cluster = SimulatedCluster(ClusterOptions(seed: seed))
        client = cluster.makeClient()
        generator = SeededGenerator(seed: seed ^ 0xFA4E)
        calls = Array(repeating: nil, count: workload.clientCount)
    }

    mutating func run(calls count: Int) {
        for _ in 0..<count * 3 { step(Int(generator.below(UInt64(calls.count)))) }
        while let place = calls.firstIndex(where: { $0 != nil }) { step(place, isLosing: false) }
        for place in calls.indices {
            while start(place, isClosing: true) {
                while calls[place] != nil { step(place, isLosing: false) }
            }
        }
    }

    private mutating func step(_ place: Int, isLosing: Bool = true) {
        now = now + .microseconds(10)
        guard var underWay = calls[place] else {
            _ = start(place, isClosing: false)
            return
        }
        if let result = underWay.result {
            calls[place] = nil
            workload.ended(
                underWay.call, at: place, sentAt: underWay.sentAt, result, now: now)
            return
        }
        let isLost = isLosing && generator.below(12) == 0
        if isLost && generator.below(2) == 0 {
            underWay.result = .unknown(nil)
        } else {
            let answer = tablet.answer(underWay.call.body)
            if case .refusal(let refusal) = answer {
                underWay.result = .notApplied(refusal)
            } else {
                underWay.result = isLost ? .unknown(nil) : .answer(answer)
            }
        }
        calls[place] = underWay
    }

    private mutating func start(_ place: Int, isClosing: Bool) -> Bool {
        let moment = WorkloadMoment(
            now: now, wallTime: WallTime(milliseconds: now.nanoseconds / 1_000_000),
            isClosing: isClosing)
        guard let call = workload.next(for: client, at: place, moment) else { return false }
        calls[place] = UnderWay(call: call, sentAt: now)
        return true
    }
}
