import ArgumentParser
import Foundation
import TenonClient
import TenonCore

/// Where a client stands, for reads that may be stale.
struct LocalityOption: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Where this client stands: stale reads go to the nearest replica. "
                + "Default: TENON_LOCALITY.",
            valueName: "city=…,dc=…"))
    var locality: String?

    /// The locality of the flag, else of the environment, else none.
    var text: String {
        locality ?? ProcessInfo.processInfo.environment["TENON_LOCALITY"] ?? ""
    }

    func validate() throws {
        do throws(LocalityError) {
            _ = try Locality(parsing: text)
        } catch {
            throw ValidationError("--locality: \(error.problem).")
        }
    }
}

/// How old what a read gives may be.
struct StaleOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Let the nearest replica answer that lacks nothing older: 500ms, 2s.",
            valueName: "time"))
    var staleWithin: TimeOption?
    @Flag(help: "Let the nearest replica answer, however old, without a majority too.")
    var stale = false
    @OptionGroup var place: LocalityOption

    func validate() throws {
        guard staleWithin == nil || !stale else {
            throw ValidationError("Give one of --stale-within and --stale.")
        }
    }

    /// What was asked for.
    var staleness: Staleness {
        if let staleWithin { return .within(staleWithin.duration) }
        return stale ? .any : .none
    }

    /// Says on standard error how old what was read may be; nothing of what is linearizable.
    static func note(_ age: ReadAge, at point: Point) {
        let text =
            switch age {
            case .newest: ""
            case .within(let milliseconds): "at most \(milliseconds) ms old"
            case .unknown: "of unknown age: no leader has told this replica since its start"
            }
        guard !text.isEmpty else { return }
        Console.note("stale: \(text), version \(point.version) of tablet \(point.tablet)")
    }
}
