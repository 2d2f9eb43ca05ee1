/// The workloads that a scenario can name. A new one is a file in `Workloads/` and a line here.
package enum WorkloadCatalogue {
    /// The names, in the order in which reports list them.
    package static let names = ["registers"]

    /// A workload of that name; nil when there is none.
    package static func make(_ name: String, _ parameters: WorkloadParameters) -> (any Workload)? {
        switch name {
        case "registers": KeyRegisters(parameters)
        default: nil
        }
    }
}
