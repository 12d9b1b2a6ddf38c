import type { AreaError } from "@/area/parse";
import type { Fault } from "@/area/validity";
import { strings } from "@/strings";

/** Why an area cannot be mapped, in words. */
export function faultText(fault: Fault): string {
  const texts = strings.area.faults;
  switch (fault.kind) {
    case "too-large":
      return texts["too-large"](fault.km2, fault.limit);
    case "too-many-vertices":
      return texts["too-many-vertices"](fault.count, fault.limit);
    case "crosses-itself":
      return texts["crosses-itself"](fault.at[0] ?? 0, fault.at[1] ?? 0);
    default:
      return texts[fault.kind]();
  }
}

/** Why a text or file is no area, in words. */
export function refusalText({ refusal, detail }: AreaError): string {
  return strings.area.refusals[refusal](detail);
}
