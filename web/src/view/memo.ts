import { Component, type ComponentChild, type FunctionComponent, h } from "preact";

/** A component that is rendered again only if a property has changed. */
export function memo<Properties extends object>(of: FunctionComponent<Properties>): FunctionComponent<Properties> {
  class Memo extends Component<Properties> {
    override shouldComponentUpdate(next: Properties): boolean {
      const keys = Object.keys(next) as (keyof Properties)[];
      return keys.some((key) => next[key] !== this.props[key]);
    }

    override render(): ComponentChild {
      return h(of, this.props);
    }
  }
  return Memo as unknown as FunctionComponent<Properties>;
}
