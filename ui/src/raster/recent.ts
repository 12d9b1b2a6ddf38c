/** Keeps the values used last; a promise that fails is forgotten. */
export class Recent<T> {
  readonly #kept = new Map<string, T>();

  constructor(private readonly limit: number) {}

  get(key: string, make: () => T): T {
    const value = this.#kept.get(key) ?? this.#made(key, make());
    this.#kept.delete(key);
    this.#kept.set(key, value);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= this.limit) break;
      this.#kept.delete(oldest);
    }
    return value;
  }

  #made(key: string, value: T): T {
    if (value instanceof Promise) value.catch(() => this.#kept.delete(key));
    return value;
  }
}
