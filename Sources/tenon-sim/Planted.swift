#if PLANTED_FAULTS
    import ArgumentParser
    import Foundation
    import TenonCore
    import TenonSimulator

    struct Planted: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Plant each fault into the engine and count the seeds until a check sees it.",
            discussion: """
                Every fault runs with the scenario that reaches it best, over disjoint ranges of \
                seeds; the median of the ranges is printed. A fault that no check sees is a \
                failure: then a check is blind, or the scenario does not come there.

                EXAMPLES
                  tenon-sim planted --jobs 2
                  tenon-sim planted --only voteNotPersisted --ranges 1 --seeds-max 200
                """)

        @Option(help: "Seeds that a fault may need.")
        var seedsMax: UInt64 = 2_000

        @Option(help: "Disjoint ranges of seeds for each fault.")
        var ranges = 3

        @Option(help: "Child processes that run seeds.")
        var jobs = 1

        @Option(help: "Only these faults.")
        var only: [String] = []

        @Option(help: "This scenario for all of them, in place of each one's own.")
        var scenario: String?

        @Flag(help: "Only list the faults.")
        var list = false

        @Flag(help: "Print the result as JSON.")
        var json = false

        private var faults: [PlantedFault] {
            PlantedFault.allCases.filter {
                only.isEmpty ? !$0.isForDrills : only.contains("\($0)")
            }
        }

        func validate() throws {
            guard (1...64).contains(jobs) else { throw ValidationError("--jobs: 1 to 64") }
            guard ranges > 0, seedsMax > 0 else { throw ValidationError("nothing to run") }
            if let name = only.first(where: { PlantedFault(name: $0) == nil }) {
                throw ValidationError("--only: there is no fault \(name)")
            }
        }

        func run() throws {
            if list { return faults.forEach { print($0) } }
            var results: [PlantedResult] = []
            for fault in faults {
                unsafe plantedFault = fault
                let result = try hunt(fault)
                results.append(result)
                // At once: the next one may take its time.
                if !json {
                    try Console.say(result.text)
                }
            }
            if json {
                let encoder = JSONEncoder()
                encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
                print(String(decoding: try encoder.encode(results), as: UTF8.self))
            }
            if results.contains(where: { $0.seeds == nil }) { throw ExitCode(1) }
        }

        private func hunt(_ fault: PlantedFault) throws -> PlantedResult {
            let begin = ContinuousClock.now
            let scenario = scenario ?? fault.scenario
            var seeds: [UInt64] = []
            var checks: [String: Int] = [:]
            for range in 0..<ranges {
                let first = 1 + UInt64(range) * 1_000_000
                guard let caught = try firstCatch(of: fault, from: first, scenario) else {
                    continue
                }
                seeds.append(caught.seed - first + 1)
                checks[caught.check, default: 0] += 1
            }
            seeds.sort()
            let isCaught = seeds.count == ranges
            return PlantedResult(
                fault: "\(fault)", scenario: scenario,
                seeds: isCaught ? seeds[seeds.count / 2] : nil, seedsOfRanges: seeds,
                checks: checks, seconds: (ContinuousClock.now - begin) / .seconds(1))
        }

        /// The first seed of a range that a check fails with; nil when none does.
        private func firstCatch(
            of fault: PlantedFault, from first: UInt64, _ scenario: String
        ) throws -> (seed: UInt64, check: String)? {
            let pool = try WorkerPool(
                seeds: first...(first + seedsMax - 1), jobs: jobs, scenario: scenario)
            defer { pool.stop() }
            while !pool.isOver {
                for event in try pool.next(within: 1) {
                    switch event {
                    case .record(let record):
                        guard let failure = record.failure,
                            fault.checks.contains(where: { $0.name == failure.check }),
                            try isClean(record.seed, scenario)
                        else { continue }
                        return (record.seed, failure.check)
                    case .trapped(let seed, _):
                        let isExpected = fault.checks.contains { $0.name == Check.trap.name }
                        guard isExpected, try isClean(seed, scenario) else { continue }
                        return (seed, Check.trap.name)
                    }
                }
            }
            return nil
        }

        /// Whether a seed passes when nothing is planted: otherwise what failed says nothing
        /// of the plant.
        private func isClean(_ seed: UInt64, _ scenario: String) throws -> Bool {
            let planted = unsafe plantedFault
            unsafe plantedFault = nil
            defer { unsafe plantedFault = planted }
            guard let made = ScenarioCatalogue.scenario(named: scenario) else { return true }
            let file = ReplayFile(
                scenario: scenario, seed: seed, schedule: Simulation.schedule(seed: seed, made))
            guard let check = try Shrink.failure(of: file) else { return true }
            let note = "seed \(seed) of \(scenario) fails without a plant, too: \(check)"
            try Console.note(note)
            return false
        }
    }

    /// How soon a planted fault was seen, and by what.
    struct PlantedResult: Codable {
        var fault: String
        var scenario: String
        /// The median of all ranges; nil when some range did not see it.
        var seeds: UInt64?
        var seedsOfRanges: [UInt64]
        var checks: [String: Int]
        var seconds: Double

        var text: String {
            let count = seeds.map { "\($0) seeds" } ?? "NOT CAUGHT"
            return fault.padding(toLength: 30, withPad: " ", startingAt: 0)
                + count.padding(toLength: 12, withPad: " ", startingAt: 0)
                + String(format: "%6.1f s  ", seconds)
                + "\(RunRecord.list(checks)) (\(scenario); \(seedsOfRanges))"
        }
    }

    extension PlantedFault {
        /// The scenario that comes to the fault's place soonest.
        fileprivate var scenario: String {
            switch self {
            case .voteCountedTwice: "elections"
            case .lostHeaderLeavesTabletsWhole: "headers"
            case .damagedMiddleTruncated, .damagedSuffixDropped: "damage"
            case .tornTailAccepted, .recoveredTailNotSynced, .staleRecordAccepted,
                .appliedIndexApartFromData:
                "processes"
            case .flushAheadOfLog, .lateTicketMarksOverwritten: "disks"
            case .wipedNodeVotes, .newLifeUnasked, .twoEmptyNodesFoundCluster: "folders"
            case .readIndexWithoutQuorum, .readJoinsSentRound: "handover"
            case .snapshotOverNewerEntries: "snapshots"
            case .sessionsLostInSnapshot, .sessionKeptAsHighestSequence, .expiredSessionRuns:
                "sessions"
            case .configurationActiveOnApply, .removalUnproved: "members"
            case .acknowledgedWithinSite: "elsewhere"
            case .witnessDropsEarly, .witnessServes: "witness"
            case .replicaAddedUnderOldID: "moves"
            case .ownClockTrusted: "time"
            case .quietSetNumberIgnored: "quiet"
            case .leaseNeverEnds, .promiseForgotten: "leases"
            case .closedTooEarly, .closedWithoutQuorum: "stale"
            case .splitForgetsSessions: "split-sessions"
            case .missingVoterNotTold: "keyspaces"
            case .splitBeforeFlush, .splitRecordBeforeCheckpoint, .writesBehindSplit:
                "splits"
            default: "everything"
            }
        }

        /// The checks that are there to see it. A failure of another one says nothing: it may be
        /// chance, or a bug.
        fileprivate var checks: [Check] {
            switch self {
            case .voteNotPersisted: [.durableVote, .oneVote]
            case .voteCountedTwice: [.electionQuorum, .durableVote, .electionSafety]
            case .oldTermCommittedByCounting: [.ownTermCommit]
            // What such a read confirms counts for how new a replica is, too.
            case .readIndexWithoutQuorum, .readJoinsSentRound:
                [.replay, .linearizability, .closedTruly]
            case .snapshotOverNewerEntries:
                [.committedKept, .stateMachineSafety, .equalDigests, .durableQuorum, .trap]
            case .committedSuffixTruncated: [.committedKept, .durableQuorum, .trap]
            case .acknowledgedBeforeDurable, .lateTicketMarksOverwritten:
                [.durableAccept, .durableQuorum]
            case .acknowledgedBeforeSync: [.durableVote, .durableAccept, .durableQuorum]
            case .tornTailAccepted, .staleRecordAccepted:
                [.recoveredTrue, .recoveredWhole, .noFalseDamage, .trap]
            case .damagedMiddleTruncated, .lostHeaderLeavesTabletsWhole:
                [.damageNoticed, .recoveredDurable, .durableQuorum]
            case .recoveredTailNotSynced: [.recoveredDurable]
            case .appliedIndexApartFromData: [.equalDigests, .replay, .exactlyOnce, .bankTotal]
            case .flushAheadOfLog: [.flushBehindLog]
            case .sessionsLostInSnapshot, .sessionKeptAsHighestSequence, .expiredSessionRuns:
                [.exactlyOnce, .equalDigests, .replay, .trap]
            case .wipedNodeVotes, .newLifeUnasked: [.strangerSilent]
            case .missingVoterNotTold: [.liveness, .convergence]
            case .twoEmptyNodesFoundCluster: [.oneCluster]
            case .configurationActiveOnApply:
                [
                    .electionSafety, .electionQuorum, .durableQuorum, .leaderCompleteness,
                    .stateMachineSafety, .committedKept, .trap,
                ]
            case .replicaAddedUnderOldID:
                [
                    .oneVote, .electionSafety, .durableQuorum, .leaderCompleteness, .durableAccept,
                    .committedKept, .numberUsedOnce, .trap,
                ]
            case .removalUnproved: [.votersKept]
            case .acknowledgedInMemory, .fullLogPassesForWritten:
                [.durableAccept, .durableQuorum, .durableVote]
            case .isolatedLeaderServes: [.replay, .linearizability, .closedTruly]
            case .transferTargetNotTold, .stalledLeaderStays, .silentLeaderKept,
                .exposedLayoutAllowed, .leadersStayAway, .deafLeaderStays,
                .everyTimeoutRaisesTerm,
                .slowestVoterCounts, .epochFenceOff:
                []
            case .ownClockTrusted: [.timelyVersions]
            case .acknowledgedWithinSite: [.durableElsewhere]
            case .witnessDropsEarly: [.keptByWitness]
            case .witnessServes: [.replay, .linearizability, .staleness]
            case .quietSetNumberIgnored: [.quietSets]
            case .leaseNeverEnds, .promiseForgotten:
                [.oneLease, .linearizability, .replay, .closedTruly]
            case .closedTooEarly, .closedWithoutQuorum: [.closedTruly, .staleness]
            case .splitForgetsSessions: [.exactlyOnce, .replay, .linearizability]
            case .splitBeforeFlush, .writesBehindSplit:
                [.replay, .linearizability, .exactlyOnce, .bankTotal, .equalDigests]
            case .splitRecordBeforeCheckpoint:
                [.liveness, .convergence, .replay, .linearizability, .equalDigests, .noFalseDamage]
            case .damagedSuffixDropped:
                [
                    .committedKept, .leaderCompleteness, .stateMachineSafety, .durableQuorum,
                    .durableAccept, .equalDigests, .damageNoticed, .noVoteWhileLost, .trap,
                ]
            }
        }
    }
#endif
