internal import Configuration
internal import SystemPackage

/// What a setting's value is.
package enum SettingKind: Sendable {
    case text
    case integer
    case flag
}

/// Looks settings up in the flags, the environment and a file, in this order, and tells what does
/// not convert instead of falling back to a default.
struct SettingReader {
    private let reader: ConfigReader

    init(
        flags: [String: String], file: String?, kinds: [(name: String, kind: SettingKind)]
    ) async throws(SettingError) {
        var values: [AbsoluteConfigKey: ConfigValue] = [:]
        for (key, text) in flags {
            guard let kind = kinds.first(where: { $0.name == key })?.kind else {
                throw SettingError(setting: key, problem: "there is no such setting")
            }
            values[AbsoluteConfigKey([key])] = try SettingReader.value(text, kind, of: key)
        }
        var providers: [any ConfigProvider] = [
            InMemoryProvider(name: "flags", values: values),
            EnvironmentVariablesProvider().prefixKeys(with: ["tenon"]),
        ]
        if let file {
            do {
                providers.append(
                    try await FileProvider<JSONSnapshot>(filePath: FilePath(file)))
            } catch {
                throw SettingError(
                    setting: "config", problem: "\(file) cannot be read as JSON: \(error)")
            }
        }
        reader = ConfigReader(providers: providers)
    }

    private static func value(
        _ text: String, _ kind: SettingKind, of key: String
    ) throws(SettingError) -> ConfigValue {
        switch kind {
        case .text: return ConfigValue(.string(text), isSecret: false)
        case .integer:
            guard let number = Int(text) else {
                throw SettingError(setting: key, problem: "\"\(text)\" is no whole number")
            }
            return ConfigValue(.int(number), isSecret: false)
        case .flag:
            guard let flag = Bool(text) else {
                throw SettingError(setting: key, problem: "\"\(text)\" is not true or false")
            }
            return ConfigValue(.bool(flag), isSecret: false)
        }
    }

    func required(_ key: String) async throws(SettingError) -> String {
        guard let value = try await text(key), !value.isEmpty else {
            throw SettingError(
                setting: key, problem: "is missing: give --\(key), or set it in the file")
        }
        return value
    }

    // The `fetch…` calls throw what does not convert; the plain getters would hide it.

    func text(_ key: String) async throws(SettingError) -> String? {
        do {
            return try await reader.fetchString(forKey: ConfigKey([key]))
        } catch {
            throw SettingError(setting: key, problem: "must be a text: \(error)")
        }
    }

    func integer(_ key: String) async throws(SettingError) -> Int? {
        do {
            return try await reader.fetchInt(forKey: ConfigKey([key]))
        } catch {
            throw SettingError(setting: key, problem: "must be a whole number: \(error)")
        }
    }

    func flag(_ key: String) async throws(SettingError) -> Bool? {
        do {
            return try await reader.fetchBool(forKey: ConfigKey([key]))
        } catch {
            throw SettingError(setting: key, problem: "must be true or false: \(error)")
        }
    }
}
