import ArgumentParser
import Glibc
import TenonCore

/// Runs of a drill that must fail: the nodes break the rule that the drill watches.
enum NegativeControl {
    /// What nodes take the name of the broken rule from.
    static let variable = "TENON_PLANT"

    /// What such a node begins its log with, before the rule's name.
    static let announcement = "planted, so that this node breaks a rule on purpose:"

    /// - Throws: when this program cannot break rules.
    static func check() throws {
        #if !PLANTED_FAULTS
            throw ValidationError(
                "--negative-control: this program cannot break its rules; build one with `swift "
                    + "build -c release --product tenon --traits PlantedFaults --scratch-path "
                    + ".build-planted`, as deploy/drills/NAME --negative-control does")
        #endif
    }

    /// Every node that this process starts from now on breaks the rule.
    static func plant(_ fault: String) { _ = unsafe setenv(variable, fault, 1) }
}
