import ArgumentParser
import Foundation
import TenonCore
import TenonNode
import TenonServer

/// `tenon recover`: what is left when a majority is gone for good (Rule C10).
struct RecoverCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recover",
        abstract: "Go on from the survivors when a majority of the nodes is destroyed.",
        discussion: """
            Only tablets that have no majority any more are acted on. Each goes on from its most
            advanced copy; acknowledged writes of a stated window of time may be lost, and nobody
            can know how many from the survivors alone. You state that the lost nodes are destroyed
            or fenced off: a majority of them that still runs out of reach cannot be stopped by
            this command. Whoever comes back of them is refused, for a new epoch has begun.

            The survivors are stopped meanwhile. On one machine:
              tenon recover --dir ./.tenon --lost n1,n3
            On several, step by step; reports and plans are files that you carry between them:
              tenon recover inspect --data /var/lib/tenon --out n2.json     # on each survivor
              tenon recover plan n2.json n5.json --lost n1,n3,n4 --out plan.json
              tenon recover apply plan.json --data /var/lib/tenon           # on each survivor

            Exit codes: 0 done, 1 nothing to recover, 2 refused: nothing was done, 64 usage.
            """,
        subcommands: [
            RecoverInspect.self, RecoverPlan.self, RecoverApply.self, RecoverLocal.self,
        ],
        defaultSubcommand: RecoverLocal.self)
}

/// Runs a step of a recovery: its errors become messages and exit codes.
func reportingRecoveryErrors(_ body: () async throws -> Void) async throws {
    do {
        try await body()
    } catch let error as RecoveryError {
        Console.error("\(error)")
        if case .nothingToDo = error { throw Exit.negative }
        throw Exit.notApplied
    } catch let error as InputError {
        Console.error("\(error)")
        throw Exit.notApplied
    } catch let error as ClusterError {
        Console.error("\(error)")
        throw Exit.notApplied
    }
}

/// What a plan is told besides the reports.
struct LossOptions: ParsableArguments {
    @Option(help: "The nodes that are destroyed or fenced off for ever: n1,n3,n4")
    var lost: String

    @Option(
        help: ArgumentHelp(
            "When they were gone at the latest, as 2026-01-31T08:15:00Z (default: now).",
            valueName: "time"))
    var lostAt: String?

    @Option(help: "Give up the data of these tablets, of which no copy is left: 7,9")
    var abandon: String?

    var names: [String] { lost.split(separator: ",").map(String.init) }

    /// Unix time.
    func lossEnd() throws -> WallTime {
        let now = Date()
        guard let lostAt else { return WallTime(now) }
        let styles = [false, true].map { Date.ISO8601FormatStyle(includingFractionalSeconds: $0) }
        guard let date = styles.lazy.compactMap({ try? Date(lostAt, strategy: $0) }).first else {
            throw ValidationError("--lost-at \(lostAt): write it as 2026-01-31T08:15:00Z")
        }
        guard date <= now, date.timeIntervalSince1970 > 0 else {
            throw ValidationError("--lost-at \(lostAt): that is not in the past")
        }
        return WallTime(date)
    }

    func abandoned() throws -> Set<TabletID> {
        var tablets: Set<TabletID> = []
        for text in (abandon ?? "").split(separator: ",") {
            guard let number = UInt64(text) else {
                throw ValidationError("--abandon \(text): give numbers of tablets, as 7,9")
            }
            tablets.insert(TabletID(number))
        }
        return tablets
    }

    /// The plan that follows from reports, once it is sure that nobody lost answers.
    func plan(_ reports: [SurvivorReport]) async throws -> RecoveryPlan {
        var generator = SystemRandomNumberGenerator()
        let plan = try RecoveryPlan.make(
            from: reports, lost: names, lossEnd: try lossEnd(), abandoned: try abandoned(),
            using: &generator)
        try await plan.requireSilence()
        return plan
    }
}

extension WallTime {
    init(_ date: Date) {
        self.init(milliseconds: UInt64(max(0, date.timeIntervalSince1970 * 1_000)))
    }
}

extension RecoveryPlan {
    /// - Throws: ``InputError`` when somebody answers where a lost node was.
    func requireSilence() async throws {
        for node in lost {
            // One that never said where it is cannot be asked.
            guard let address = try? NetworkAddress(parsing: node.address, setting: "address"),
                await AddressProbe.answers(at: address)
            else { continue }
            throw InputError(
                "\(node.name) is given as lost, and something answers at its address "
                    + "\(node.address): stop it, or cut it off for good, or take it off --lost")
        }
    }
}
