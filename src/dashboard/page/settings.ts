// What the page may do, for every view.
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { SettingsReply } from '../api.ts';

export const SettingsContext = createContext<SettingsReply | undefined>(undefined);

export function useSettings(): SettingsReply | undefined {
  return useContext(SettingsContext);
}
