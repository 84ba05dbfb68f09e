// Whether this browser must sign in, and how it does so and out again. Knows no component and keeps no token.
import { unauthorized } from './api/http';
import { signIn as post, signOut as end } from './api/apm';

const state = $state({ wanted: false, left: false });
unauthorized.tell = () => { state.wanted = true; };

export const session = {
  /** True while the engine wants a token that this browser has not shown. */
  get wanted() { return state.wanted; },
  /** True after a person signed out here. */
  get left() { return state.left; },
};
/** Throws an ApiError that says why not. */
export async function signIn(token: string) {
  await post(token);
  unauthorized.since++;
  state.wanted = state.left = false;
}
export async function signOut() {
  await end();
  state.wanted = state.left = true;
}
