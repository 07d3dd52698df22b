// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Model

/// Documentation of device profiles, generated from the declarations of their figures.
public enum ProfilePages {
    /// The page of all figures, in Markdown.
    public static var page: String {
        var out = "\(ElementPages.notice)\n\n# Figures of device profiles\n\n"
        out += "A profile holds the numbers of a NIC, a host and the channel between them. Each stands as\n"
        out +=
            "`{value: X, source: \"...\"}`; a source that begins with `assumption` says that nobody measured it. `spillway show PROFILE`\n"
        out += "prints a profile with the meaning of each number, `spillway new --profile NAME` begins one.\n\n"
        out +=
            "Besides its figures a profile has `profile`, its name, `about`, what it describes, and `not_modelled`, a list of what its\n"
        out += "numbers leave out.\n"
        var section: String?
        for type in FigureType.all {
            let group = type.section.split(separator: ".").first.map(String.init) ?? ""
            if group != section {
                section = group
                out += "\n## \(group.isEmpty ? "The NIC as a whole" : "`\(group)`")\n"
            }
            out += "\n### \(type.path)\n\n\(type.about)\n\n"
            if type.path == "channel.driver" { out += drivers }
            out += "Written as: \(kind(type)). \(presence(type)) For example: `\(example(type))`\n"
        }
        return out
    }

    /// What each driver does, direction by direction.
    private static var drivers: String {
        func share(_ every: Int) -> String { every == 0 ? "-" : every == 1 ? "1" : "1/\(every)" }
        var table = Table([
            ("driver", .left), ("direction", .left), ("descriptors read", .right), ("written back", .right),
            ("doorbells", .right),
            ("interrupts", .right), ("head pointers read", .right), ("DMAs", .right),
        ])
        for driver in DriverModel.all {
            for (name, steps) in [("to the host", driver.toHost), ("to the NIC", driver.toNIC)] {
                let descriptors = [steps.fetch, steps.writeBack].filter { $0 > 0 }.reduce(0) { $0 + 1 / Double($1) }
                table.rows.append(
                    [driver.name, name, share(steps.fetch), share(steps.writeBack), share(steps.doorbellEvery)]
                        + [share(steps.interruptEvery), share(steps.headReadEvery), fixed(1 + descriptors, 3)]
                )
            }
        }
        return "For each item that crosses; 1/40 is once for 40 items. A descriptor is 16 B. An item is one DMA, none "
            + "if only its descriptor crosses; descriptors are the others. A marker behind a slow path is an item of "
            + "16 B. The rest moves bytes on the link, no DMA.\n\n\(table.markdown)\n"
    }

    /// One figure, for a terminal of `width` characters; elsewhere lines have 120.
    public static func terminal(_ type: FigureType, width: Int? = nil) -> String {
        wrapped(
            [
                "\(type.path): \(type.about)", "Written as: \(kind(type)). \(presence(type))",
                "For example: \(example(type))",
            ],
            width: min(width ?? 120, 120)
        )
    }

    /// A profile with units, meaning and source of each number, for a terminal of `width` characters; elsewhere lines have 120.
    public static func terminal(_ profile: DeviceProfile, width: Int? = nil) -> String {
        func wrapped(_ lines: [String]) -> String { Reports.wrapped(lines, width: min(width ?? 120, 120)) }
        var out = wrapped(["\(profile.name): \(profile.about)"])
        let assumed = profile.assumptions.count
        out += "\(profile.figures.count) numbers, \(assumed) of them assumptions that nobody measured.\n"
        if !profile.notModelled.isEmpty {
            out += "\nNot modelled:\n" + wrapped(profile.notModelled.map { "  \($0)" })
        }
        var section: String?
        for figure in profile.figures {
            let owner = FigureType.owner(of: figure.path)
            let type = FigureType.at(owner)
            if type?.section != section {
                section = type?.section
                out += "\n\(section.flatMap { $0.isEmpty ? nil : $0 } ?? "price")\n"
            }
            let name = figure.path.dropFirst(section.map { $0.isEmpty ? 0 : $0.count + 1 } ?? 0)
            out += wrapped(["  \(name) = \(figure.value)\(unit(type, figure.path))"])
            out += wrapped(["      \(figure.isAssumption ? "" : "source: ")\(figure.source)"])
            if figure.path == owner, let type { out += wrapped(["      \(type.about)"]) }
        }
        return out
    }

    /// A profile, for programs.
    public static func json(_ profile: DeviceProfile) -> JSON {
        .object([
            ("name", .string(profile.name)), ("about", .string(profile.about)),
            ("not_modelled", .array(profile.notModelled.map { .string($0) })),
            (
                "figures",
                .array(
                    profile.figures.map { figure in
                        let type = FigureType.at(FigureType.owner(of: figure.path))
                        return .object([
                            ("path", .string(figure.path)), ("value", .string(figure.value)),
                            ("unit", .string(unit(type, figure.path).trimmed)), ("source", .string(figure.source)),
                            ("assumption", .bool(figure.isAssumption)), ("about", .string(type?.about ?? "")),
                        ])
                    }
                )
            ),
        ])
    }

    /// A template for a profile: every figure with an example value, all of them assumptions.
    public static func new(_ name: String) -> String {
        var out =
            "# Each number needs a source; 'spillway show FIGURE' says what it means, and so does elements-docs/profile-figures.md.\n"
        out += "profile: \(name)\nabout: What this describes.\nnot_modelled:\n  - what its numbers leave out\n"
        var sections: [String] = []
        for type in FigureType.all where type.presence != .withSection && type.path != "price" {
            let parts = type.section.split(separator: ".").map(String.init)
            for depth in parts.indices {
                let path = parts[...depth].joined(separator: ".")
                if sections.contains(path) { continue }
                sections.append(path)
                out += (depth == 0 ? "\n" : "") + String(repeating: "  ", count: depth) + "\(parts[depth]):\n"
            }
            // Optional figures are commented out.
            let mark = type.presence == .optional ? "# " : ""
            out += String(repeating: "  ", count: parts.count) + "\(mark)\(example(type))\n"
        }
        return out
    }

    // MARK: Words

    private static func example(_ type: FigureType) -> String {
        "\(type.name): {value: \(type.example), source: assumption}"
    }

    private static func kind(_ type: FigureType) -> String {
        switch type.kind {
        case .number(let unit, _), .numbers(let unit, _):
            let units = unit.table.map(\.unit).filter { !$0.isEmpty }
            var words =
                unit == .none
                ? "a whole number"
                : unit == .cycles
                    ? "cycles, a decimal number"
                    : "\(unit == .accessRate ? "an" : "a") \(unit.rawValue), in \(list(units))"
            if case .number(_, let range) = type.kind {
                words += ", \(plain(range.lowerBound, unit)) to \(plain(range.upperBound, unit))"
            }
            if case .numbers(_, let among) = type.kind { words += ", one of \(list(among.map { plain($0, unit) }))" }
            return words
        case .word(let words): return list(words.map { "`\($0)`" })
        case .cost: return "cycles, a decimal number, with `wait` and `accesses` beside it, or `free`"
        }
    }

    private static func plain(_ n: Int, _ unit: FigureType.Unit) -> String {
        let best = unit.table.last { n % Int($0.factor) == 0 && n != 0 }
        return best.map { "\(n / Int($0.factor))\($0.unit.isEmpty ? "" : " ")\($0.unit)" } ?? "\(n)"
    }

    private static func list(_ words: [String]) -> String {
        words.count < 2 ? words.joined() : words.dropLast().joined(separator: ", ") + " or " + words.last!
    }

    private static func presence(_ type: FigureType) -> String {
        switch type.presence {
        case .always: "Every profile has it."
        case .optional: "It may be left out."
        case .withNICCores: "Every profile has it whose NIC has cores."
        case .withSection: "It must be there where its section is; the section may be left out."
        }
    }

    /// The unit of a number that is written without one.
    private static func unit(_ type: FigureType?, _ path: String) -> String {
        if path.hasSuffix(".accesses") { return "" }
        switch type?.kind {
        case .cost?: return type?.name.hasSuffix("_bytes") == true ? " cycles per byte" : " cycles"
        case .number(.cycles, _)?: return " cycles"
        default: return ""
        }
    }
}

extension String {
    fileprivate var trimmed: String { String(drop { $0 == " " }) }
}
